"""A model that the server may not read is no model that is not there."""

import pytest
from support.rights import as_somebody_else, open_to_others
from support.server import test_settings

from app.errors import InvalidRequest, NotReady
from app.serving.catalogue import Catalogue
from app.wiring import Wiring


async def test_server_that_may_not_read_a_model_is_not_ready_and_says_why() -> None:
    """In readiness, to whoever asks for it or for no name, and in the metrics."""
    with open_to_others() as folder:
        (folder / "pig-sex").mkdir(mode=0o700)
        wiring = Wiring(test_settings(folder))
        (folder / "pig-sex").chmod(0)
        with as_somebody_else():
            await wiring.load_models()
    readiness = wiring.catalogue.readiness()
    metrics = wiring.metrics.render().decode()
    await wiring.close(timeout_s=1.0)

    assert not readiness.is_ready
    assert "`pig-sex` cannot be read: Permission denied" in readiness.reasons[0]
    assert 'lineside_model_ready{model="pig-sex",version=""} 0.0' in metrics
    for name in (None, "pig-sex"):
        with pytest.raises(NotReady, match="cannot be read"):
            wiring.catalogue.find(name, None)


@pytest.mark.parametrize("default_model", [None, "pig-sex"])
def test_no_model_is_called_unknown_before_anybody_has_looked(default_model: str | None) -> None:
    """A client whose server restarts would take 404 for a mistake of its own."""
    catalogue = Catalogue(require="all", default_model=default_model, default_versions={})

    for name, version in ((None, None), ("pig-sex", None), ("pig-sex", 1)):
        with pytest.raises(NotReady, match="being read"):
            catalogue.find(name, version)
    catalogue.scanned(fault="the model repository cannot be read")
    with pytest.raises(NotReady, match="cannot be read"):
        catalogue.find("pig-sex", 1)


def test_no_other_model_answers_in_place_of_one_that_cannot_be_read() -> None:
    """A request without a name meant the only model, and now there seems to be one."""
    catalogue = Catalogue(require="any", default_model=None, default_versions={})
    catalogue.announce("demo", 1)
    catalogue.scanned(unreadable={"pig-sex": "`pig-sex` cannot be read"})

    with pytest.raises(InvalidRequest, match="demo, pig-sex"):
        catalogue.find(None, None)
    assert catalogue.find("demo", None).version == 1
    assert "`pig-sex` cannot be read" in catalogue.readiness().reasons


def test_default_that_cannot_be_read_is_not_called_missing() -> None:
    """Else whoever reads it first looks for the folder instead of its rights."""
    catalogue = Catalogue(require="any", default_model="pig-sex", default_versions={"pig-sex": 1, "demo": 2})
    catalogue.announce("demo", 1)
    catalogue.scanned(unreadable={"pig-sex": "`pig-sex` cannot be read"})

    reasons = catalogue.readiness().reasons

    assert [reason for reason in reasons if "pig-sex" in reason and "not in the repository" in reason] == []
    assert "LINESIDE_DEFAULT_VERSIONS names version 2 of demo, which is not in the repository" in reasons
