"""An option that was called otherwise before is still read, and what it is called now is told."""

from __future__ import annotations

import warnings

import pytest

from facewitness import plugins
from facewitness.errors import renamed


def test_an_option_of_the_new_name_is_taken_in_silence():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert renamed("mare", "most", None, "max_tokens", 384) == 384


def test_an_option_of_the_old_name_is_taken_and_the_new_name_told():
    with pytest.warns(FutureWarning, match=r"mare: the option most is called max_tokens now.*say mare\.max_tokens=7"):
        assert renamed("mare", "most", 7, "max_tokens", 384) == 7


def test_a_backend_takes_its_option_under_both_names():
    backend = plugins.get("backends", "openai")
    with pytest.warns(FutureWarning, match=r"openai: the option most_tokens is called max_tokens now") as told:
        old = backend.load(base_url="http://127.0.0.1:9/v1", model="m", most_tokens=12)
    assert [warning.filename for warning in told] == [__file__]  # whoever says the old name is pointed at
    new = backend.load(base_url="http://127.0.0.1:9/v1", model="m", max_tokens=12)
    assert vars(old) == vars(new)
