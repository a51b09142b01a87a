"""Episodes of the tests are spoken by sketches, in seconds; those of other qualities say so."""

import os


def pytest_configure() -> None:
    # here, so that fixtures of any scope and the processes that tests start all have it
    os.environ.setdefault("PODCASTER_QUALITY", "sketch")
