// Every word on the page, in every language it speaks; {name} is filled in by say(). Words of evidence and of
// problems are beside this. A test compares the languages key by key, so one cannot be forgotten.

import { EVIDENCE_WORDS } from "./words-evidence.js";
import { PROBLEM_WORDS } from "./words-problems.js";

export const LANGUAGES = { en: "English", ko: "한국어" };

export const WORDS = {
  ...EVIDENCE_WORDS,
  ...PROBLEM_WORDS,

  "page.title": { en: "Lineside: the class, and why", ko: "Lineside: 판정과 그 근거" },
  "page.language": { en: "Language", ko: "언어" },
  "page.model": { en: "Model", ko: "모델" },
  "page.skip": { en: "To the answer", ko: "판정으로 건너뛰기" },
  "page.interface": { en: "Interface (HTTP)", ko: "HTTP 인터페이스" },
  "page.models": { en: "Models (JSON)", ko: "모델 목록 (JSON)" },
  "page.version": { en: "Lineside {version}", ko: "Lineside {version}" },
  "page.notice": { en: "Note", ko: "주의" },
  "close": { en: "Close", ko: "닫기" },

  "choose.drop": { en: "Drop pictures here", ko: "여기에 사진을 놓으세요" },
  "choose.or": {
    en: "or press to choose files. TIFF, JPEG, PNG, BMP and WebP are read.",
    ko: "또는 눌러서 파일을 고르세요. TIFF, JPEG, PNG, BMP, WebP를 읽습니다.",
  },
  "choose.file": { en: "Choose a picture", ko: "사진 고르기" },
  "choose.samples": { en: "Samples", ko: "예시 사진" },
  "choose.sample": { en: "Sample {name}", ko: "예시 {name}" },
  "pile.place": { en: "{number} of {count}: {name}", ko: "{count}개 중 {number}번째: {name}" },
  "pile.previous": { en: "Previous", ko: "이전" },
  "pile.next": { en: "Next", ko: "다음" },
  "busy.work": { en: "Working on {name}", ko: "{name} 처리 중" },
  "busy.wait": {
    en: "The server is busy. Asking again in {seconds} s",
    ko: "서버가 바쁩니다. {seconds}초 뒤에 다시 요청합니다",
  },
  "busy.stop": { en: "Stop", ko: "중지" },

  "models.loading": { en: "The model is loading", ko: "모델을 불러오는 중입니다" },
  "models.loading.hint": {
    en: "It is checked against its own sample pictures before it may answer. This page goes on by itself.",
    ko: "답하기 전에 자체 예시 사진으로 검사합니다. 준비되면 화면이 저절로 바뀝니다.",
  },
  "models.none": { en: "No model can answer", ko: "답할 수 있는 모델이 없습니다" },
  "models.none.hint": {
    en: "The reasons are below. This page looks again by itself.",
    ko: "이유는 아래에 있습니다. 이 화면은 스스로 다시 확인합니다.",
  },
  "models.empty": { en: "There is no model yet", ko: "아직 모델이 없습니다" },
  "models.empty.hint": {
    en: "The model repository is empty or still being read. This page looks again by itself.",
    ko: "모델 저장소가 비어 있거나 아직 읽는 중입니다. 이 화면은 스스로 다시 확인합니다.",
  },
  "models.offline": { en: "The server does not answer", ko: "서버가 응답하지 않습니다" },
  "models.offline.hint": {
    en: "Is it running, and is the network up? This page tries again by itself.",
    ko: "서버와 네트워크를 확인하세요. 이 화면은 스스로 다시 시도합니다.",
  },
  "models.others": { en: "Not every model can answer", ko: "답할 수 없는 모델이 있습니다" },
  "state.ready": { en: "ready", ko: "준비됨" },
  "state.loading": { en: "loading", ko: "불러오는 중" },
  "state.refused": { en: "refused", ko: "거부됨" },
  "state.faulty": { en: "not answering", ko: "응답 불가" },

  "answer.title": { en: "Answer", ko: "판정" },
  "answer.none": { en: "No picture yet", ko: "아직 사진이 없습니다" },
  "answer.none.hint": {
    en: "The class appears here, with how sure the network is and where in the picture it found its reasons.",
    ko: "판정과 확률, 그리고 네트워크가 사진 어디에서 근거를 찾았는지 여기에 나옵니다.",
  },
  "answer.spoken": { en: "{class}, {probability}.", ko: "판정 {class}, {probability}." },
  "answer.probability": { en: "probability", ko: "확률" },
  "answer.classes": { en: "Show the evidence for", ko: "다음 분류의 근거 보기" },
  "answer.class": { en: "{class}, {probability}: show its evidence", ko: "{class}, {probability}: 근거 보기" },
  "answer.warnings": { en: "Worth knowing", ko: "알아 둘 점" },
  "answer.retry": { en: "Try again", ko: "다시 시도" },
  "answer.another": {
    en: "This answer is from {model}. The model that answers now is {now}.",
    ko: "이 판정은 {model} 모델이 내린 것입니다. 지금은 {now} 모델이 답합니다.",
  },
  "answer.replaced": {
    en: "{model} was replaced after it gave this answer. Now it may answer otherwise.",
    ko: "이 판정 뒤에 {model} 모델이 교체되었습니다. 지금은 판정이 다를 수 있습니다.",
  },
  "answer.anew": { en: "Ask {now}", ko: "{now} 모델로 다시 판정" },
  "answer.id": { en: "Request {id}", ko: "요청 번호 {id}" },
  "percent": { en: "{number} %", ko: "{number}%" },
  "percent.above": { en: "> {number} %", ko: "> {number}%" },
  "percent.below": { en: "< {number} %", ko: "< {number}%" },

  "time.title": { en: "Time:", ko: "걸린 시간:" },
  "time.decode": { en: "decode", ko: "읽기" },
  "time.preprocess": { en: "preprocess", ko: "전처리" },
  "time.queue": { en: "queue", ko: "대기" },
  "time.inference": { en: "inference", ko: "추론" },
  "time.render": { en: "render", ko: "그리기" },
  "time.rest": { en: "other", ko: "기타" },
  "time.total": { en: "{number} in total", ko: "모두 {number}" },
  "time.ms": { en: "{number} ms", ko: "{number} ms" },

  "fact.title": { en: "What answered", ko: "판정한 모델" },
  "fact.model": { en: "model", ko: "모델" },
  "fact.digest": { en: "digest", ko: "다이제스트" },
  "fact.network": { en: "network", ko: "네트워크" },
  "fact.device": { en: "device", ko: "장치" },
  "fact.picture": { en: "picture", ko: "사진" },
  "fact.batch": { en: "batch size", ko: "배치 크기" },
  "fact.map": { en: "map", ko: "지도" },
  "fact.map.cells": { en: "{columns} × {rows} cells, {share} in favour", ko: "{columns}×{rows}칸, 그중 {share}가 근거" },
  "fact.expected": { en: "expected region", ko: "예상 영역" },
  "fact.expected.share": { en: "{share} of the evidence inside", ko: "근거의 {share}가 안에 있음" },
  "fact.sum": { en: "score", ko: "점수" },
  "fact.sum.rule": {
    en: "{logit} = bias {bias} + mean evidence {mean}",
    ko: "{logit} = 편향 {bias} + 근거 평균 {mean}",
  },
  "fact.request": { en: "request", ko: "요청 번호" },
  "fact.answered": { en: "answered", ko: "판정 시각" },

  "curl.title": { en: "The same by machine", ko: "프로그램으로 같은 요청" },
  "curl.copy": { en: "Copy as curl", ko: "curl로 복사" },
  "curl.copied": { en: "Copied", ko: "복사했습니다" },
  "curl.failed": { en: "Select it and copy by hand", ko: "직접 선택해 복사하세요" },

  "help.title": { en: "Help", ko: "도움말" },
  "keys.title": { en: "Keyboard", ko: "단축키" },
  "keys.open": { en: "choose a picture", ko: "사진 고르기" },
  "keys.sample": { en: "previous, next picture", ko: "이전, 다음 사진" },
  "keys.class": { en: "evidence for the first, second … class", ko: "첫째, 둘째 … 분류의 근거" },
  "keys.evidence": { en: "evidence on, off", ko: "근거 켜기, 끄기" },
  "keys.strength": { en: "evidence weaker, stronger", ko: "근거 약하게, 진하게" },
  "keys.marks": { en: "regions on, off", ko: "영역 표시 켜기, 끄기" },
  "keys.check": { en: "check by covering the region", ko: "영역을 가려서 확인" },
  "keys.layers": { en: "the evidence by depth", ko: "깊이별 근거" },
  "keys.classes": { en: "the classes side by side", ko: "분류별 근거 비교" },
  "keys.curl": { en: "copy as curl", ko: "curl로 복사" },
  "keys.language": { en: "change the language", ko: "언어 바꾸기" },
  "keys.help": { en: "this help", ko: "이 도움말" },
  "keys.paste": { en: "a picture from the clipboard", ko: "클립보드의 사진" },
  "keys.enabled": { en: "Single keys work (all else works with Tab)", ko: "한 글자 단축키 사용 (Tab으로도 모두 가능)" },
};

let language = "en";

/** The language the page speaks now. */
export function currentLanguage() {
  return language;
}

/** Speak `wanted` if there are words for it. */
export function speak(wanted) {
  language = wanted in LANGUAGES ? wanted : "en";
  return language;
}

/** One text in the current language, with its {names} filled in. */
export function say(key, values = {}) {
  const text = WORDS[key]?.[language] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Whether there is a text of that name. */
export function knows(key) {
  return key in WORDS;
}
