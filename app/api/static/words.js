// Every word on the page, in every language it speaks; {name} is filled in by say().
// A test compares the languages key by key, so one cannot be forgotten.

export const LANGUAGES = { en: "English", ko: "한국어" };

export const WORDS = {
  "page.title": { en: "Lineside: the class, and why", ko: "Lineside: 판정과 그 근거" },
  "page.language": { en: "Language", ko: "언어" },
  "page.model": { en: "Model", ko: "모델" },
  "page.skip": { en: "To the answer", ko: "판정으로 건너뛰기" },
  "page.interface": { en: "Interface (HTTP)", ko: "HTTP 인터페이스" },
  "page.models": { en: "Models (JSON)", ko: "모델 목록 (JSON)" },
  "page.version": { en: "Lineside {version}", ko: "Lineside {version}" },
  "page.notice": { en: "Note", ko: "주의" },
  "close": { en: "Close", ko: "닫기" },

  "choose.drop": { en: "Drop a picture here", ko: "여기에 사진을 놓으세요" },
  "choose.or": {
    en: "or press to choose a file. TIFF, JPEG, PNG, BMP and WebP are read.",
    ko: "또는 눌러서 파일을 고르세요. TIFF, JPEG, PNG, BMP, WebP를 읽습니다.",
  },
  "choose.file": { en: "Choose a picture", ko: "사진 고르기" },
  "choose.samples": { en: "Samples", ko: "예시 사진" },
  "choose.sample": { en: "Sample {name}", ko: "예시 {name}" },
  "choose.several": {
    en: "Several files came; the first was used: {name}",
    ko: "파일이 여러 개여서 첫 번째만 사용했습니다: {name}",
  },
  "choose.busy": { en: "Working on {name}", ko: "{name} 처리 중" },

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
  "answer.spoken": { en: "{class}, {probability}. {caption}", ko: "판정 {class}, {probability}. {caption}" },
  "answer.probability": { en: "probability", ko: "확률" },
  "answer.classes": { en: "Show the evidence for", ko: "다음 분류의 근거 보기" },
  "answer.class": { en: "{class}, {probability}: show its evidence", ko: "{class}, {probability}: 근거 보기" },
  "answer.warnings": { en: "Worth knowing", ko: "알아 둘 점" },
  "answer.retry": { en: "Try again", ko: "다시 시도" },
  "answer.id": { en: "Request {id}", ko: "요청 번호 {id}" },
  "percent": { en: "{number} %", ko: "{number}%" },
  "percent.above": { en: "> {number} %", ko: "> {number}%" },
  "percent.below": { en: "< {number} %", ko: "< {number}%" },

  "evidence.strength": { en: "Evidence", ko: "근거 표시" },
  "evidence.colours": { en: "Colours", ko: "색" },
  "evidence.signed": { en: "for and against", ko: "근거와 반대 근거" },
  "evidence.little": { en: "none", ko: "없음" },
  "evidence.strong": { en: "strongest", ko: "가장 강함" },
  "evidence.against": { en: "against", ko: "반대 근거" },
  "evidence.for": { en: "for", ko: "근거" },
  "evidence.caption": { en: "Bright = evidence for {class}.", ko: "밝을수록 {class}의 근거가 강합니다." },
  "evidence.caption.signed": {
    en: "Red = evidence for {class}, blue = against it.",
    ko: "빨강은 {class}의 근거, 파랑은 반대 근거입니다.",
  },
  "evidence.frame": { en: "The frame is what the network saw.", ko: "네트워크는 테두리 안만 보았습니다." },
  "evidence.whole": { en: "The network saw the whole picture.", ko: "네트워크는 사진 전체를 보았습니다." },
  "evidence.coarse": {
    en: "A hint of {columns} × {rows} cells, not proof.",
    ko: "{columns}×{rows}칸의 참고용이며 증거는 아닙니다.",
  },
  "evidence.approximate": {
    en: "This network's map is an approximation; its numbers do not add up to the score.",
    ko: "이 네트워크의 지도는 근사값이며, 합이 점수와 같지 않습니다.",
  },
  "evidence.impossible": {
    en: "This network cannot show where its answer came from.",
    ko: "이 네트워크는 판정의 근거 위치를 보여 줄 수 없습니다.",
  },
  "evidence.nothing": {
    en: "Nothing in the picture speaks for {class}, so there is nothing to colour.",
    ko: "사진에서 {class}의 근거를 찾지 못해 색칠할 곳이 없습니다.",
  },
  "evidence.nothing.top": {
    en: "Nothing in the picture speaks for {class}; it was chosen because less still speaks for the others. Look yourself.",
    ko: "사진에서 {class}의 근거를 찾지 못했습니다. 다른 분류의 근거가 더 적어서 골랐을 뿐이니 직접 확인하세요.",
  },
  "evidence.picture": { en: "The picture {name}, as the server read it", ko: "서버가 읽은 사진 {name}" },
  "evidence.overlay": { en: "Where the evidence for {class} lies", ko: "{class}의 근거가 있는 위치" },

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
  "fact.map.cells": { en: "{columns} × {rows} cells, {share} in favour", ko: "{columns}×{rows}칸, {share}가 근거 쪽" },
  "fact.sum": { en: "score", ko: "점수" },
  "fact.sum.rule": {
    en: "{logit} = bias {bias} + mean evidence {mean}",
    ko: "{logit} = 편향 {bias} + 근거 평균 {mean}",
  },
  "fact.request": { en: "request", ko: "요청 번호" },

  "curl.title": { en: "The same by machine", ko: "프로그램으로 같은 요청" },
  "curl.copy": { en: "Copy as curl", ko: "curl로 복사" },
  "curl.copied": { en: "Copied", ko: "복사했습니다" },
  "curl.failed": { en: "Select it and copy by hand", ko: "직접 선택해 복사하세요" },

  "keys.title": { en: "Keyboard", ko: "단축키" },
  "keys.open": { en: "choose a picture", ko: "사진 고르기" },
  "keys.sample": { en: "previous, next sample", ko: "이전, 다음 예시" },
  "keys.class": { en: "evidence for the first, second … class", ko: "첫째, 둘째 … 분류의 근거" },
  "keys.evidence": { en: "evidence on, off", ko: "근거 켜기, 끄기" },
  "keys.strength": { en: "evidence weaker, stronger", ko: "근거 약하게, 진하게" },
  "keys.curl": { en: "copy as curl", ko: "curl로 복사" },
  "keys.language": { en: "change the language", ko: "언어 바꾸기" },
  "keys.help": { en: "this list", ko: "이 목록" },
  "keys.paste": { en: "a picture from the clipboard", ko: "클립보드의 사진" },
  "keys.enabled": { en: "Single keys work (all else works with Tab)", ko: "한 글자 단축키 사용 (Tab으로도 모두 가능)" },

  "error.unreadable_image": { en: "The picture cannot be read", ko: "사진을 읽을 수 없습니다" },
  "error.unreadable_image.hint": {
    en: "The file is damaged, incomplete or not a picture. Take or export it again.",
    ko: "파일이 손상되었거나 덜 저장되었거나 사진이 아닙니다. 다시 촬영하거나 내보내세요.",
  },
  "error.unsupported_image": { en: "This kind of picture is not accepted", ko: "지원하지 않는 사진 형식입니다" },
  "error.unsupported_image.hint": {
    en: "Save it as TIFF, JPEG, PNG, BMP or WebP.",
    ko: "TIFF, JPEG, PNG, BMP 또는 WebP로 저장하세요.",
  },
  "error.image_too_large": { en: "The picture has too many pixels", ko: "사진의 화소 수가 너무 많습니다" },
  "error.image_too_large.hint": { en: "Send a smaller version.", ko: "더 작은 크기로 줄여 보내세요." },
  "error.body_too_large": { en: "The file is too big", ko: "파일이 너무 큽니다" },
  "error.body_too_large.hint": {
    en: "Send a smaller file, or save it with more compression.",
    ko: "더 작은 파일을 보내거나 더 압축해 저장하세요.",
  },
  "error.invalid_request": { en: "The server did not understand the request", ko: "서버가 요청을 이해하지 못했습니다" },
  "error.invalid_request.hint": { en: "Reload this page and try again.", ko: "화면을 새로 고치고 다시 시도하세요." },
  "error.unknown_model": { en: "This model is no longer here", ko: "이 모델이 더 이상 없습니다" },
  "error.unknown_model.hint": { en: "Choose another model above.", ko: "위에서 다른 모델을 고르세요." },
  "error.unknown_class": { en: "The model has no such class", ko: "모델에 그런 분류가 없습니다" },
  "error.unknown_class.hint": { en: "Choose another class.", ko: "다른 분류를 고르세요." },
  "error.queue_full": { en: "The server is busy", ko: "서버가 바쁩니다" },
  "error.queue_full.hint": { en: "Try again in a moment.", ko: "잠시 후 다시 시도하세요." },
  "error.not_ready": { en: "The model is not ready", ko: "모델이 준비되지 않았습니다" },
  "error.not_ready.hint": { en: "Try again when it is.", ko: "준비된 뒤 다시 시도하세요." },
  "error.shutting_down": { en: "The server is shutting down", ko: "서버가 종료되는 중입니다" },
  "error.shutting_down.hint": { en: "Try again when it is back.", ko: "다시 켜진 뒤 시도하세요." },
  "error.deadline_exceeded": { en: "The answer took too long", ko: "제시간에 답하지 못했습니다" },
  "error.deadline_exceeded.hint": {
    en: "The work was dropped. Try again; if it stays so, the server is too slow or too busy.",
    ko: "작업을 중단했습니다. 다시 시도하고, 계속되면 서버가 느리거나 바쁜 것입니다.",
  },
  "error.internal": { en: "The server failed", ko: "서버 오류가 났습니다" },
  "error.internal.hint": {
    en: "Give the number below to whoever looks after the server.",
    ko: "아래 번호를 서버 담당자에게 알려 주세요.",
  },
  "error.not_found": { en: "It is not there", ko: "찾을 수 없습니다" },
  "error.not_found.hint": { en: "Reload this page and try again.", ko: "화면을 새로 고치고 다시 시도하세요." },
  "error.method_not_allowed": { en: "The server refused the request", ko: "서버가 요청을 거절했습니다" },
  "error.method_not_allowed.hint": { en: "Reload this page and try again.", ko: "화면을 새로 고치고 다시 시도하세요." },
  "error.network": { en: "The server cannot be reached", ko: "서버에 연결할 수 없습니다" },
  "error.network.hint": {
    en: "Is it running, and is the network up? A very big file may also be cut off.",
    ko: "서버와 네트워크를 확인하세요. 파일이 너무 커서 끊겼을 수도 있습니다.",
  },
  "error.not_a_file": { en: "That was not a file", ko: "파일이 아닙니다" },
  "error.not_a_file.hint": {
    en: "Drop a picture file: not a folder, a link or text.",
    ko: "폴더, 링크, 글자가 아닌 사진 파일을 놓으세요.",
  },
  "error.empty_file": { en: "The file is empty", ko: "빈 파일입니다" },
  "error.empty_file.hint": { en: "It holds no bytes. Take or export it again.", ko: "내용이 없습니다. 다시 저장하세요." },
  "error.unexpected": { en: "The server's answer makes no sense", ko: "서버의 응답을 이해할 수 없습니다" },
  "error.unexpected.hint": { en: "Is something between this page and the server?", ko: "중간에 다른 장비가 있는지 확인하세요." },
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
