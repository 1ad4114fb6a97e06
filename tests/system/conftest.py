"""Fixtures of the system tests: the tiny dataset and small annotation files."""

from tests.data_prep.conftest import files_in  # noqa: F401
from tests.data_prep.conftest import log  # noqa: F401
from tests.data_prep.conftest import make_item  # noqa: F401
from tests.data_prep.conftest import make_items  # noqa: F401
from tests.data_prep.conftest import make_options  # noqa: F401
from tests.data_prep.conftest import run  # noqa: F401
from tests.data_prep.conftest import run_command  # noqa: F401
from tests.data_prep.conftest import write_pickle  # noqa: F401
from tests.skeljax.conftest import tiny_config  # noqa: F401
from tests.skeljax.conftest import tiny_root  # noqa: F401
