"""What a report says, in English and Korean; the two are one type, so neither can lack a phrase."""

from dataclasses import dataclass
from typing import Final

from app.explain.sentence import Language


@dataclass(frozen=True, slots=True)
class Words:
    """Phrases of one language; in braces, what is put in."""

    language: Language
    kicker: str
    one_model: str
    several_models: str
    made: str
    """{when}, {version}, {pictures}, {folder}."""
    model: str
    architecture: str
    input: str
    evidence: str
    proof: str
    no_golden: str
    exact: str
    gradient: str
    no_map: str
    result: str
    accuracy: str
    of_pictures: str
    """{hits}, {count}."""
    macro_f1: str
    cover_lowers: str
    cover_of: str
    """{count}, {total}."""
    no_evidence: str
    inside: str
    unlabelled: str
    groups: str
    pictures: str
    shown: str
    confusion: str
    confusion_caption: str
    confusion_many: str
    """{count}."""
    true: str
    predicted: str
    where: str
    where_text: str
    where_inside: str
    """{share}, {outside}, {count}."""
    where_centre: str
    """{x}, {y}."""
    where_spread: str
    """Behind it: {dx}, {dy}."""
    where_only: str
    """{count}, {total}, {file}."""
    says: str
    """{label}."""
    mean_map: str
    """{model}, {label}."""
    never: str
    how: str
    how_colour: str
    how_boxes: str
    how_cover: str
    how_layers: str
    how_hint: str
    all_wrong: str
    all_right: str
    wrong: str
    right: str
    only_right: str
    """{right}, {wrong}."""
    agree: str
    disagree: str
    everything: str
    shown_all: str
    shown_some: str
    """{shown}, {count}."""
    truth: str
    full_colour: str
    """{value}."""
    strongest: str
    picture: str
    whole: str
    covered: str
    kept: str
    random: str
    cover: str
    cover_area: str
    """{area}."""
    cover_adds: str
    """{logit}."""
    region: str
    share: str
    adds: str
    layers: str
    """{model}, {method}."""
    no_layers: str
    """{model}."""
    unread: str
    unread_text: str
    """{pictures}."""
    more: str
    """{count}, {file}."""
    notes: str
    file: str
    reason: str


_ENGLISH: Final = Words(
    language="en",
    kicker="Explanation report",
    one_model="Where the model looks",
    several_models="Where the models look",
    made="{when} · lineside {version} · {pictures} of “{folder}”",
    model="Model",
    architecture="Architecture",
    input="Input, pixels",
    evidence="Evidence",
    proof="Proof on this machine",
    no_golden="none: it has no golden images",
    exact="exact: the map averages to the logit",
    gradient="by gradient: marks, not shares",
    no_map="This model's head gives no map.",
    result="Result",
    accuracy="Accuracy",
    of_pictures="{hits} of {count}",
    macro_f1="Macro F1",
    cover_lowers="Covering the top region lowers the answer",
    cover_of="{count} of {total} shown",
    no_evidence="Nothing speaks for the answer",
    inside="Evidence in the expected region",
    unlabelled="The folder has no class folders, so nobody says what is right.",
    groups="Group",
    pictures="Pictures",
    shown="Shown here",
    confusion="Confusion",
    confusion_caption="Rows: true class. Columns: predicted class.",
    confusion_many="The {count} most frequent confusions",
    true="True",
    predicted="Predicted",
    where="Where it looks, class by class",
    where_text="The mean of all pictures that got this answer, under the mean share of their evidence. Cross: mean "
    "centroid; ellipse: one standard deviation; dashed: the expected region. Fractions are of the picture, from its "
    "upper left corner.",
    where_inside="inside the expected region {share}; mostly outside in {outside} of {count}",
    where_centre="centroid {x}, {y}",
    where_spread=" (± {dx}, {dy})",
    where_only="The {count} most frequent answers of {total}; {file} has all.",
    says="says {label}",
    never="never answered",
    mean_map="Mean map of {model} where it says {label}",
    how="How to read the pictures",
    how_colour="Colour is evidence for the predicted class: none is transparent, the strongest cell of each map has the full "
    "colour. Its value stands below, in the unit of the logit where the evidence is exact.",
    how_boxes="Boxes are connected regions above a fifth of the peak, numbered by their share of the evidence. What a region adds is "
    "its part of the logit.",
    how_cover="Cover check: the network is asked three times more: with region 1 filled from its surroundings, with nothing "
    "but region 1, and with an equally large region elsewhere covered. A map that is true makes the second bar short "
    "and leaves the last one long.",
    how_layers="Each depth has a scale of its own.",
    how_hint="A map says what this network used. It does not prove that the answer is right.",
    all_wrong="Wrong in every model",
    all_right="Right in every model",
    wrong="Wrong",
    right="Right",
    only_right="Right in {right}, wrong in {wrong}",
    agree="The models agree",
    disagree="The models disagree",
    everything="Pictures",
    shown_all="all of {count} shown",
    shown_some="{shown} of {count} shown, chosen evenly",
    truth="True class",
    full_colour="full colour: {value}",
    strongest="max",
    picture="Picture",
    whole="as it is",
    covered="region 1 covered",
    kept="region 1 alone",
    random="elsewhere covered",
    cover="Cover check",
    cover_area="region 1: {area} of the image",
    cover_adds=", adds {logit}",
    region="Region",
    share="Share",
    adds="Adds to the logit",
    layers="{model} by depth ({method})",
    no_layers="{model}: its engine cannot look into its layers.",
    unread="Pictures that could not be read",
    unread_text="In none of the figures: {pictures}.",
    more="and {count} more, in {file}",
    notes="Notes",
    file="File",
    reason="Reason",
)

_KOREAN: Final = Words(
    language="ko",
    kicker="설명 보고서",
    one_model="모델은 어디를 보는가",
    several_models="모델들은 어디를 보는가",
    made="{when} · lineside {version} · “{folder}”의 {pictures}",
    model="모델",
    architecture="구조",
    input="입력(픽셀)",
    evidence="근거",
    proof="이 장비에서의 검증",
    no_golden="없음: 기준 사진이 없습니다",
    exact="정확: 지도의 평균이 로짓이 됩니다",
    gradient="기울기: 비율이 아니라 표시입니다",
    no_map="이 모델의 헤드는 지도를 만들지 못합니다.",
    result="결과",
    accuracy="정확도",
    of_pictures="{count}장 중 {hits}장",
    macro_f1="매크로 F1",
    cover_lowers="주요 영역을 가리면 답의 확률이 떨어짐",
    cover_of="표시한 {total}장 중 {count}장",
    no_evidence="답을 가리키는 근거가 없음",
    inside="예상 영역 안의 근거",
    unlabelled="클래스 폴더가 없어 무엇이 정답인지 알 수 없습니다.",
    groups="묶음",
    pictures="사진",
    shown="표시",
    confusion="혼동 행렬",
    confusion_caption="행: 실제 클래스. 열: 예측 클래스.",
    confusion_many="가장 잦은 혼동 {count}개",
    true="실제",
    predicted="예측",
    where="클래스별로 보는 곳",
    where_text="같은 답을 받은 모든 사진의 평균 위에 근거의 평균 비율을 그렸습니다. 십자: 평균 중심, 타원: 표준편차, 점선: "
    "예상 영역. 위치는 사진의 왼쪽 위에서부터 잰 비율입니다.",
    where_inside="예상 영역 안의 근거 {share}, 사진 {count}장 중 {outside}장은 근거 대부분이 영역 밖",
    where_centre="중심 {x}, {y}",
    where_spread="(±{dx}, ±{dy})",
    where_only="가장 잦은 답 {total}개 중 {count}개입니다. 전부는 {file} 파일에 있습니다.",
    says="답: {label}",
    never="이 답을 한 적이 없음",
    mean_map="{model} 모델의 평균 지도, 답: {label}",
    how="사진 읽는 법",
    how_colour="색은 예측한 클래스를 가리키는 근거입니다. 근거가 없으면 투명하고, 각 지도에서 가장 강한 칸이 가장 진합니다. 그 "
    "값은 아래에 있으며, 근거가 정확할 때 단위는 로짓입니다.",
    how_boxes="상자는 최댓값의 5분의 1을 넘는 이어진 영역이며, 근거의 비율이 큰 순서로 번호를 붙였습니다. 기여는 그 영역이 로짓에 "
    "더하는 양입니다.",
    how_cover="가림 검사: 1번 영역을 주변으로 채운 사진, 1번 영역만 남긴 사진, 같은 크기의 다른 곳을 가린 사진으로 세 번 더 "
    "묻습니다. 지도가 맞다면 두 번째 막대는 짧아지고 마지막 막대는 길게 남습니다.",
    how_layers="깊이마다 눈금이 다릅니다.",
    how_hint="지도는 이 신경망이 무엇을 썼는지 말할 뿐, 답이 맞다는 증명은 아닙니다.",
    all_wrong="모든 모델이 틀림",
    all_right="모든 모델이 맞음",
    wrong="틀림",
    right="맞음",
    only_right="{right} 맞음, {wrong} 틀림",
    agree="모델들의 답이 같음",
    disagree="모델들의 답이 다름",
    everything="사진",
    shown_all="{count}장 모두 표시",
    shown_some="{count}장 중 고르게 뽑은 {shown}장",
    truth="실제 클래스",
    full_colour="가장 진한 색: {value}",
    strongest="최댓값",
    picture="사진",
    whole="그대로",
    covered="1번 영역을 가림",
    kept="1번 영역만 남김",
    random="다른 곳을 가림",
    cover="가림 검사",
    cover_area="1번 영역: 이미지의 {area}",
    cover_adds=", 로짓 {logit}",
    region="영역",
    share="비율",
    adds="로짓 기여",
    layers="{model} 깊이별({method})",
    no_layers="{model}: 이 엔진은 층을 들여다볼 수 없습니다.",
    unread="읽지 못한 사진",
    unread_text="{pictures}은 어느 수치에도 들어 있지 않습니다.",
    more="그 밖에 {count}장은 {file} 파일에 있습니다",
    notes="참고",
    file="파일",
    reason="이유",
)

WORDS: Final[dict[Language, Words]] = {"en": _ENGLISH, "ko": _KOREAN}
