"""A cluster for the tests beside this file: they follow each other, so that few processes start one."""

import pytest

from tests.support.dask_cluster import DaskCluster


@pytest.fixture(scope="session")
def dask_cluster(tmp_path_factory):
    """A Dask scheduler and two workers."""
    with DaskCluster(tmp_path_factory.mktemp("cluster")) as started:
        # A thread that imports it while Streamlit compiles a page may break that (CPython issue 106905).
        import distributed  # noqa: F401

        yield started
