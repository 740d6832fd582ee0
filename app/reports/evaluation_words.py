"""The words of an evaluation's page, in English and Korean.

language -> Words: attributes for what stands alone, methods for what needs numbers
"""

from dataclasses import dataclass
from typing import Final

from app.explain.sentence import Language


@dataclass(frozen=True, slots=True)
class Words:
    """What stands on the page."""

    language: Language
    title: str
    audit_title: str
    lead: str
    audit_lead: str
    no_claim: str
    no_claim_of_groups: str
    trained_on: str
    """{pictures}, {count}."""
    chosen_by: str
    """{pictures}, {count}."""
    summary: str
    pictures: str
    right: str
    accuracy: str
    balanced_accuracy: str
    macro_f1: str
    calibration_error: str
    after_scaling: str
    temperature: str
    interval: str
    not_claimed: str
    comparison: str
    per_class: str
    class_: str
    support: str
    recall: str
    precision: str
    roc_auc: str
    weakest: str
    on_the_line: str
    on_the_line_note: str
    comes: str
    precision_there: str
    accuracy_there: str
    """{accuracy}, {interval}."""
    confusion: str
    confusion_note: str
    frequent: str
    true_predicted: str
    reliability: str
    reliability_note: str
    before: str
    after: str
    confidence: str
    abstention: str
    abstention_note: str
    answered: str
    from_probability: str
    wrong: str
    error: str
    mistakes: str
    mistakes_note: str
    colours_note: str
    no_evidence: str
    strongest: str
    no_mistake: str
    picture: str
    why: str
    against: str
    curves: str
    cut_note: str
    training_loss: str
    validation_loss: str
    validation_accuracy: str
    epoch: str
    audit: str
    audit_note: str
    nothing_found: str
    together: str
    group: str
    by_group: str
    evidence: str
    evidence_note: str
    no_region: str
    evidence_inside: str
    mostly_outside: str
    painted: str
    painted_note: str
    looked_at: str
    area: str
    changed: str
    shift: str
    control_changed: str
    control_shift: str
    chance: str
    skipped: str
    more: str
    """{count}, {file}."""
    independent: str
    grouped: str
    """{pictures}, {groups}."""
    footer: str
    audit_footer: str


ENGLISH: Final = Words(
    language="en",
    title="Evaluation of {}",
    audit_title="Shortcut audit of {}",
    lead="{pictures} of {folder}, through the server's own decoding and engine.",
    audit_lead="{pictures} of {folder}.",
    no_claim="No accuracy is claimed: fewer than {least} pictures of {classes}. The figures describe these pictures only.",
    no_claim_of_groups="No accuracy is claimed: fewer than {least} groups of {classes}. The figures describe these pictures only.",
    trained_on="No accuracy is claimed: the model was trained on {pictures} of these {count}. How often it is right on others "
    "is not known from here.",
    chosen_by="{pictures} of these {count} stood on the validation side of the training, which may have chosen the epoch and "
    "the temperature, so the figures flatter.",
    summary="In short",
    pictures="pictures",
    right="right",
    accuracy="accuracy",
    balanced_accuracy="balanced accuracy",
    macro_f1="macro F1",
    calibration_error="calibration error",
    after_scaling="after temperature scaling",
    temperature="temperature",
    interval="95 %: {}",
    not_claimed="not claimed",
    comparison="Which is better?",
    per_class="Each class",
    class_="class",
    support="pictures",
    recall="recall",
    precision="precision",
    roc_auc="ROC AUC",
    weakest="The {} classes of lowest recall.",
    on_the_line="On the line",
    on_the_line_note="Of what the model calls so, the share that is, where the classes come as often as --prevalence says. The "
    "folder's own precision is that of its own mixture.",
    comes="comes",
    precision_there="precision there",
    accuracy_there="Accuracy there: {accuracy} ({interval}).",
    confusion="Confusion matrix",
    confusion_note="Rows are the true classes, columns what the model said.",
    frequent="most frequent confusions",
    true_predicted="true → said",
    reliability="How far a probability may be believed",
    reliability_note="Bars: how often the model was right when it was so sure. Orange: how sure it was. Grey: how many "
    "pictures. On the dashed line promise and truth are equal.",
    before="as trained",
    after="after temperature scaling",
    confidence="how sure",
    abstention="If it may abstain",
    abstention_note="The pictures that the model is least sure of are left to a person: what is answered, from which probability "
    "on, and how much of that is wrong.",
    answered="answered",
    from_probability="from a probability of",
    wrong="wrong",
    error="error",
    mistakes="The worst mistakes",
    mistakes_note="Those that the model was surest of. Both maps of a picture share one scale.",
    colours_note="Colour is evidence for the class that stands below the map: none is transparent, the strongest cell of the two "
    "maps has the full colour. A map says what the model used, not that it is right.",
    no_evidence="no evidence",
    strongest="the strongest of both maps",
    no_mistake="No mistake in {}.",
    picture="the picture, truly {}",
    why="why it said {name} ({probability})",
    against="what speaks for {name} ({probability})",
    curves="Training",
    cut_note="The losses are cut at twice that of guessing; the highest was {}.",
    training_loss="training loss",
    validation_loss="validation loss",
    validation_accuracy="validation accuracy",
    epoch="epoch",
    audit="Shortcut audit",
    audit_note="Whether something besides the animal tells the classes apart, and whether the model uses it.",
    nothing_found="Nothing was found that tells the classes apart besides what the pictures show. That does not prove that "
    "there is nothing.",
    together="Class and {fact}: Cramér's V {v} of 1",
    group="group",
    by_group="Accuracy by group",
    evidence="Where the evidence lies",
    evidence_note="Share of the evidence for the class named that lies inside the region of interest "
    "[{x0:g}, {y0:g}, {x1:g}, {y1:g}].",
    no_region="The manifest names no region of interest ([evidence] region_of_interest), so nothing is measured here.",
    evidence_inside="evidence inside",
    mostly_outside="mostly outside",
    painted="Painted over",
    painted_note="Ink is replaced by its surroundings, the backdrop by one flat colour; the control paints as many random "
    "pixels over with what lies around them.",
    looked_at="pictures that have it",
    area="area",
    changed="called something else",
    shift="mean change of probability",
    control_changed="control: called something else",
    control_shift="control: mean change",
    chance="by chance",
    skipped="Could not be read, and in no figure of a model: {}",
    more="and {count} more, in {file}",
    independent="Intervals: Wilson (accuracy, recall), bootstrap of 2,000 rounds (balanced accuracy, macro F1). Pictures "
    "are taken as independent. Where several show one animal, the intervals are too narrow and a difference "
    "seems surer than it is: give --group-by.",
    grouped="{pictures} in {groups} groups (--group-by): whole groups are drawn for every interval and turned round for the "
    "comparison.",
    footer="Calibration error: 15 bins of equal width. Cramér's V is corrected for bias.",
    audit_footer="Intervals: Wilson. Cramér's V is corrected for bias; by chance: 2,000 shuffles.",
)
KOREAN: Final = Words(
    language="ko",
    title="{} 평가",
    audit_title="{} 지름길 감사",
    lead="{folder} 폴더의 {pictures}. 서버와 같은 디코딩과 엔진으로 예측했습니다.",
    audit_lead="{folder} 폴더의 {pictures}.",
    no_claim="정확도를 제시하지 않습니다: {classes} 사진이 {least}장보다 적습니다. 수치는 이 사진들에만 해당합니다.",
    no_claim_of_groups="정확도를 제시하지 않습니다: {classes} 그룹이 {least}개보다 적습니다. 수치는 이 사진들에만 해당합니다.",
    trained_on="정확도를 제시하지 않습니다: {count}장 중 {pictures}이 모델의 학습에 쓰였습니다. 다른 사진에서 얼마나 맞히는지는 알 수 없습니다.",
    chosen_by="{count}장 중 {pictures}이 학습의 검증 세트에 있었고, 에폭과 온도를 그것으로 골랐을 수 있으므로 수치가 실제보다 좋게 나옵니다.",
    summary="요약",
    pictures="사진",
    right="맞음",
    accuracy="정확도",
    balanced_accuracy="균형 정확도",
    macro_f1="매크로 F1",
    calibration_error="보정 오차",
    after_scaling="온도 보정 후",
    temperature="온도",
    interval="95%: {}",
    not_claimed="제시하지 않음",
    comparison="어느 쪽이 나은가?",
    per_class="클래스별",
    class_="클래스",
    support="사진",
    recall="재현율",
    precision="정밀도",
    roc_auc="ROC AUC",
    weakest="재현율이 가장 낮은 클래스 {}개.",
    on_the_line="실제 라인에서",
    on_the_line_note="클래스가 --prevalence로 적은 비율대로 나올 때, 그렇게 판정한 것 가운데 실제로 그런 비율입니다. 위 표의 정밀도는 이 "
    "폴더의 구성에서만 맞습니다.",
    comes="나오는 비율",
    precision_there="라인에서의 정밀도",
    accuracy_there="라인에서의 정확도: {accuracy} ({interval}).",
    confusion="혼동 행렬",
    confusion_note="행은 실제 클래스, 열은 모델의 판정입니다.",
    frequent="가장 잦은 혼동",
    true_predicted="실제 → 판정",
    reliability="확률을 어디까지 믿을 수 있는가",
    reliability_note="막대: 그만큼 확신했을 때 실제로 맞은 비율. 주황: 모델의 확신. 회색: 사진 수. 점선 위에서는 확신과 "
    "실제가 같습니다.",
    before="학습된 그대로",
    after="온도 보정 후",
    confidence="확신",
    abstention="답을 미룰 수 있다면",
    abstention_note="모델이 가장 확신하지 못한 사진은 사람에게 넘깁니다. 어느 확률부터 답하는지, 그중 얼마가 틀리는지 보여 줍니다.",
    answered="답한 비율",
    from_probability="기준 확률",
    wrong="틀림",
    error="오류율",
    mistakes="가장 큰 오판",
    mistakes_note="모델이 가장 확신한 오판부터 보여 줍니다. 한 사진의 두 지도는 같은 눈금을 씁니다.",
    colours_note="색은 지도 아래에 적힌 클래스의 근거입니다. 근거가 없으면 투명하고, 두 지도에서 가장 강한 칸이 가장 진합니다. 지도는 모델이 "
    "무엇을 썼는지 말할 뿐, 답이 맞다는 증명은 아닙니다.",
    no_evidence="근거 없음",
    strongest="두 지도에서 가장 강한 칸",
    no_mistake="{} 중 잘못 판정한 것이 없습니다.",
    picture="사진, 실제 {}",
    why="{name} 판정의 근거 ({probability})",
    against="{name}의 근거 ({probability})",
    curves="학습 과정",
    cut_note="손실은 무작위로 찍을 때의 두 배에서 잘랐습니다. 가장 큰 값은 {}입니다.",
    training_loss="학습 손실",
    validation_loss="검증 손실",
    validation_accuracy="검증 정확도",
    epoch="에폭",
    audit="지름길 감사",
    audit_note="동물 말고 클래스를 구별하게 하는 것이 있는지, 모델이 그것을 쓰는지 살핍니다.",
    nothing_found="사진에 보이는 것 말고 클래스를 구별하게 하는 것을 찾지 못했습니다. 없다는 증명은 아닙니다.",
    together="클래스와 {fact}: 크라메르 V {v} (최대 1)",
    group="그룹",
    by_group="그룹별 정확도",
    evidence="근거의 위치",
    evidence_note="판정한 클래스의 근거 중 관심 영역 [{x0:g}, {y0:g}, {x1:g}, {y1:g}] 안에 있는 비율.",
    no_region="매니페스트에 관심 영역([evidence] region_of_interest)이 없어 재지 않았습니다.",
    evidence_inside="영역 안의 근거",
    mostly_outside="대부분 밖",
    painted="칠해 가리기",
    painted_note="잉크는 주변 색으로, 배경은 한 가지 색으로 칠합니다. 대조군은 같은 수의 무작위 픽셀을 주변 색으로 칠합니다.",
    looked_at="해당 사진",
    area="넓이",
    changed="판정이 바뀜",
    shift="확률의 평균 변화",
    control_changed="대조군: 판정이 바뀜",
    control_shift="대조군: 평균 변화",
    chance="우연 확률",
    skipped="읽지 못해 모델의 어느 수치에도 세지 않음: {}",
    more="그 밖에 {count}개는 {file} 파일에 있습니다",
    independent="구간: 윌슨(정확도, 재현율), 부트스트랩 2,000회(균형 정확도, 매크로 F1). 사진은 서로 독립이라고 봅니다. "
    "한 마리를 여러 장 찍었다면 구간이 너무 좁고 차이가 실제보다 확실해 보이므로 --group-by를 쓰십시오.",
    grouped="{pictures}, 그룹 {groups}개(--group-by): 구간은 그룹을 통째로 다시 뽑아, 비교는 그룹을 통째로 뒤집어 구했습니다.",
    footer="보정 오차: 같은 너비의 구간 15개. 크라메르 V는 편향을 보정했습니다.",
    audit_footer="구간: 윌슨. 크라메르 V는 편향을 보정했고, 우연 확률은 2,000번 섞어 구했습니다.",
)


def words_of(language: Language) -> Words:
    """All of them."""
    return KOREAN if language == "ko" else ENGLISH
