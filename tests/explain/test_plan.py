"""What may be asked of a model, and what is refused with the names of what may."""

from dataclasses import replace

import pytest

from app.domain import Probe, Target
from app.errors import InvalidRequest, UnknownClass
from app.explain.plan import Abilities, Question, planned

CLASSES = ["castrate", "boar", "female"]


def class_index(name: str) -> int:
    if name not in CLASSES:
        raise UnknownClass("it knows castrate, boar, female")
    return CLASSES.index(name)


RESNET = Abilities(
    evidence_kind="exact",
    evidence_methods=("cam", "gradcam", "hirescam", "xgradcam"),
    probe_methods=("gradcam", "hirescam", "xgradcam", "gradcam++", "layercam", "eigencam"),
    layers=("layer1", "layer2", "layer3", "layer4"),
    target_layer="layer4",
    class_count=3,
    temperature=1.0,
    class_index=class_index,
)
VGG = replace(
    RESNET,
    evidence_kind="gradient",
    evidence_methods=("hirescam",),
    layers=("features.9", "avgpool"),
    target_layer="avgpool",
)
NOT_PROBING = replace(RESNET, probe_methods=(), layers=("layer4",))


def test_nothing_asked_is_the_evidence_of_the_predicted_class() -> None:
    """And costs nothing."""
    plan = planned(Question(), RESNET)

    assert plan.method == "cam"
    assert plan.equivalent_to == ("gradcam", "hirescam", "xgradcam")
    assert (plan.probe, plan.target) == (None, Target())
    assert plan.is_from_evidence
    assert planned(Question(), VGG).method == "hirescam"


def named(value: object) -> str:
    """A test's name must be the same in every process, and an Abilities holds a function."""
    return value if isinstance(value, str) else type(value).__name__


@pytest.mark.parametrize("method", ["cam", "gradcam", "hirescam", "xgradcam"])
def test_methods_that_are_one_map_here_take_no_gradient(method: str) -> None:
    """On any engine."""
    for model in (RESNET, NOT_PROBING):
        plan = planned(Question(method=method), model)  # type: ignore[arg-type]
        assert plan.probe is None
        assert {plan.method, *plan.equivalent_to} == set(RESNET.evidence_methods)


def test_contrast_probability_and_all_classes_need_no_probe() -> None:
    """They are sums of the evidence."""
    assert planned(Question(target="boar", against="female"), NOT_PROBING).target == Target(1, against=2)
    assert planned(Question(score="probability"), NOT_PROBING).target == Target(None, "probability")
    assert planned(Question(classes="all"), NOT_PROBING).classes == (0, 1, 2)
    assert planned(Question(classes="top2"), NOT_PROBING).classes == 2
    assert planned(Question(classes="top9"), NOT_PROBING).classes == 3
    assert planned(Question(classes="female, boar,female"), NOT_PROBING).classes == (2, 1)


def test_no_more_classes_than_a_sheet_shows() -> None:
    """Refused with what may be asked for, in every form; a few of many classes are no matter."""
    many = replace(RESNET, class_count=1000, class_index=int)
    too_many = "classes: up to 64 maps at once, not {}; ask for top64, or name as many"

    for asked, count in (
        ("all", 1000),
        ("top65", 65),
        ("top9999", 1000),
        (",".join(map(str, range(65))), 65),
    ):
        with pytest.raises(InvalidRequest, match=too_many.format(count)):
            planned(Question(classes=asked), many)

    assert planned(Question(classes="top64"), many).classes == 64
    assert planned(Question(classes=",".join(map(str, range(64)))), many).classes == tuple(range(64))
    assert planned(Question(classes="all"), replace(many, class_count=64)).classes == tuple(range(64))


def test_other_methods_probe_the_last_layer() -> None:
    """And answer with its map."""
    plan = planned(Question(method="layercam", target="boar"), RESNET)

    assert plan.probe == Probe(Target(1), "layercam", ("layer4",), None, 0)
    assert not plan.is_from_evidence
    assert plan.equivalent_to == ()
    assert planned(Question(method="gradcam"), VGG).probe is not None


def test_layers_come_beside_the_evidence() -> None:
    """LayerCAM unless named; the main map stays the model's own."""
    plan = planned(Question(layers="layer3, layer1"), RESNET)

    assert plan.probe == Probe(Target(), "layercam", ("layer3", "layer1"), None, 0)
    assert (plan.method, plan.layers_method) == ("cam", "layercam")
    assert plan.is_from_evidence
    assert planned(Question(layers="all"), RESNET).probe == Probe(
        Target(), "layercam", RESNET.layers, None, 0
    )


def test_gradcam_of_early_layers_is_given_with_a_warning() -> None:
    """Of the last it is not misleading."""
    assert "prefer layercam" in planned(Question(layers="all", method="gradcam"), RESNET).warnings[0]
    assert planned(Question(layers="layer4", method="gradcam"), RESNET).warnings == ()
    assert planned(Question(layers="all", method="hirescam"), RESNET).warnings == ()


def test_feature_maps_are_sixteen_unless_told() -> None:
    """Of any layer, together with any map from the evidence."""
    assert planned(Question(feature_maps="layer2"), RESNET).probe == Probe(Target(), "cam", (), "layer2", 16)
    plan = planned(Question(feature_maps="layer2", k=3, layers="layer1"), RESNET)
    assert plan.probe == Probe(Target(), "layercam", ("layer1",), "layer2", 3)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (
            Question(layers="layer9"),
            r"layers: no layer 'layer9' in this model; it has layer1, layer2, layer3, layer4",
        ),
        (Question(feature_maps="fc"), r"feature_maps: no layer 'fc' .* layer1"),
        (
            Question(layers="layer1", method="eigencam"),
            "with layers it is one of layercam, hirescam, gradcam",
        ),
        (Question(k=4), "name a layer in feature_maps"),
        (Question(method="eigencam", target="boar"), "eigencam shows no class"),
        (Question(method="eigencam", score="probability"), "eigencam shows no class"),
        (Question(target="boar", against="boar"), "name another class"),
        (Question(against="boar", score="probability"), "leave score away"),
        (Question(classes="all", against="boar"), "leave against away"),
        (Question(classes="all", method="layercam"), "cam, gradcam, hirescam, xgradcam"),
        (Question(view="full", layers="all"), "leave layers"),
        (Question(view="full", method="layercam"), "full shows cam"),
    ],
    ids=named,
)
def test_what_does_not_go_together_is_refused_with_the_fix(question: Question, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        planned(question, RESNET)


@pytest.mark.parametrize(
    ("question", "model", "words"),
    [
        (Question(method="cam"), VGG, "cannot give cam; it gives hirescam, gradcam, xgradcam"),
        (Question(view="full"), VGG, "a head that averages its cells"),
        (Question(method="layercam"), NOT_PROBING, "it gives cam, gradcam, hirescam, xgradcam"),
        (Question(layers="layer1"), NOT_PROBING, "it gives cam"),
        (Question(feature_maps="layer4"), NOT_PROBING, "cannot look into its layers"),
        (Question(view="full"), NOT_PROBING, "an engine that takes any size"),
        (Question(), replace(NOT_PROBING, evidence_kind="none", evidence_methods=()), "gives no evidence"),
    ],
    ids=named,
)
def test_what_a_model_cannot_give_names_what_it_can(question: Question, model: Abilities, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        planned(question, model)


@pytest.mark.parametrize(
    "question", [Question(target="cow"), Question(against="cow"), Question(classes="boar,cow")]
)
def test_unknown_class_is_refused_wherever_it_is_named(question: Question) -> None:
    with pytest.raises(UnknownClass):
        planned(question, RESNET)
