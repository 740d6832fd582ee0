// Words about the evidence: the map on the stage, the closer looks at it.

export const EVIDENCE_WORDS = {
  "evidence.strength": { en: "Evidence", ko: "근거 표시" },
  "evidence.colours": { en: "Colours", ko: "색" },
  "evidence.signed": { en: "for and against", ko: "근거와 반대 근거" },
  "evidence.little": { en: "none", ko: "없음" },
  "evidence.strong": { en: "strongest", ko: "가장 강함" },
  "evidence.against": { en: "against", ko: "반대 근거" },
  "evidence.for": { en: "for", ko: "근거" },
  "evidence.caption": { en: "Bright = evidence for {class}.", ko: "밝을수록 {class}의 근거가 강합니다." },
  "evidence.caption.signed": {
    en: "Orange = evidence for {class}, blue = against it.",
    ko: "주황은 {class}의 근거, 파랑은 반대 근거입니다.",
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
  "evidence.unseen": {
    en: "This browser cannot show this kind of file; the answer is about it all the same.",
    ko: "이 브라우저는 이런 파일을 표시하지 못합니다. 판정은 이 사진에 대한 것이 맞습니다.",
  },
  "evidence.overlay": { en: "Where the evidence for {class} lies", ko: "{class}의 근거가 있는 위치" },
  "evidence.marks": { en: "Regions", ko: "영역" },
  "evidence.expected": { en: "expected", ko: "예상 영역" },

  "reading.title": { en: "How to read an answer", ko: "판정을 읽는 법" },
  "reading.probability": {
    en: "The probability is what the network says of itself. How far it may be believed is measured in the model's evaluation report.",
    ko: "확률은 네트워크 스스로 매긴 값입니다. 어디까지 믿을 수 있는지는 모델의 평가 보고서에서 확인하세요.",
  },
  "reading.colours": {
    en: "Colours show where the network found evidence for the class: what it used, not that it is right.",
    ko: "색은 네트워크가 근거를 찾은 곳입니다. 무엇을 썼는지 보여 줄 뿐, 판정이 맞다는 뜻은 아닙니다.",
  },
  "reading.regions": {
    en: "A box is a region that stands out, with its share of the evidence. Dashed: where the model's maker expects it.",
    ko: "상자는 두드러진 영역이고 숫자는 근거에서 차지하는 비율입니다. 점선은 모델을 만든 사람이 예상한 영역입니다.",
  },
  "reading.check": {
    en: "“Check by covering” asks the network again without the strongest region, and without as large a place elsewhere.",
    ko: "‘가려서 확인’은 가장 강한 영역을 가린 사진과 같은 크기의 다른 곳을 가린 사진으로 네트워크에 다시 묻습니다.",
  },
  "reading.doubt": { en: "Look yourself where", ko: "이럴 때는 직접 확인하세요" },
  "reading.doubt.close": {
    en: "the probability is low, or another class comes close;",
    ko: "확률이 낮거나 다른 분류의 확률이 비슷할 때",
  },
  "reading.doubt.place": {
    en: "the evidence lies where nobody would look: on the backdrop, the hook, the ink, or outside the dashed box;",
    ko: "배경, 고리, 잉크처럼 사람이라면 보지 않을 곳이나 점선 밖에 근거가 있을 때",
  },
  "reading.doubt.check": {
    en: "the check does not support the map, or nothing in the picture speaks for the class;",
    ko: "가려서 확인한 결과가 지도와 맞지 않거나 사진에 그 분류의 근거가 없을 때",
  },
  "reading.doubt.picture": {
    en: "the picture is not of the kind that the model was made for: it answers all the same.",
    ko: "모델이 배운 것과 다른 종류의 사진일 때 (그래도 모델은 답을 냅니다)",
  },

  "closer.check": { en: "Check by covering", ko: "가려서 확인" },
  "closer.layers": { en: "By depth", ko: "깊이별" },
  "closer.classes": { en: "By class", ko: "분류별" },

  "check.whole": { en: "whole picture", ko: "사진 전체" },
  "check.covered": { en: "region covered", ko: "영역을 가림" },
  "check.kept": { en: "only the region kept", ko: "영역만 남김" },
  "check.elsewhere": { en: "equal area elsewhere covered", ko: "같은 크기의 다른 곳을 가림" },
  "check.verdict.lowers": {
    en: "The region counts: covering it lowers {class}, more than covering another place does.",
    ko: "중요한 영역입니다. 이곳을 가리면 {class}의 확률이 다른 곳을 가릴 때보다 더 떨어집니다.",
  },
  "check.verdict.lowers.alone": {
    en: "Covering the region lowers {class}; it is too large to compare with another place.",
    ko: "영역을 가리면 {class}의 확률이 떨어집니다. 영역이 너무 커서 다른 곳과 비교할 수는 없습니다.",
  },
  "check.verdict.no_better_than_random": {
    en: "Not supported: covering another place lowers {class} as much.",
    ko: "뒷받침되지 않습니다. 다른 곳을 가려도 {class}의 확률이 그만큼 떨어집니다.",
  },
  "check.verdict.hardly_changes": {
    en: "Not needed: without the region, {class} stays about as probable.",
    ko: "꼭 필요한 영역은 아닙니다. 가려도 {class}의 확률이 거의 그대로입니다.",
  },
  "check.verdict.raises": {
    en: "Contradicted: covering the region raises {class}.",
    ko: "지도와 어긋납니다. 영역을 가리면 {class}의 확률이 오히려 오릅니다.",
  },
  "check.verdict.nothing_to_lose": {
    en: "Says nothing: {class} is too improbable to fall.",
    ko: "알 수 없습니다. {class}의 확률이 너무 낮아 더 떨어질 수 없습니다.",
  },

  "sheet.layers": { en: "By depth: the evidence for {class}", ko: "깊이별: {class}의 근거" },
  "sheet.layers.hint": {
    en: "From the picture, left, towards the decision, right. Early layers answer to edges and texture, late ones to whole parts. Each has a scale of its own.",
    ko: "왼쪽은 사진에, 오른쪽은 판정에 가까운 층입니다. 앞쪽 층은 윤곽과 질감에, 뒤쪽 층은 더 큰 부분에 반응합니다. 눈금은 층마다 다릅니다.",
  },
  "sheet.layers.picture": { en: "Maps for {class}, by layer: {parts}", ko: "{class}의 층별 지도: {parts}" },
  "sheet.classes": { en: "The evidence for each class", ko: "분류별 근거" },
  "sheet.classes.hint": {
    en: "All on one scale: equally bright is equally strong.",
    ko: "눈금이 모두 같아서, 밝기가 같으면 근거의 세기도 같습니다.",
  },
  "sheet.classes.hint.signed": {
    en: "All on one scale. Orange = evidence for the class below the picture, blue = against it.",
    ko: "눈금이 모두 같습니다. 주황은 사진 아래 적힌 분류의 근거, 파랑은 반대 근거입니다.",
  },
  "sheet.classes.picture": { en: "Maps of the classes {parts}", ko: "분류별 지도: {parts}" },
};
