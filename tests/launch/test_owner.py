"""Signs of life of who runs a trial."""

from __future__ import annotations

import dataclasses

from reprise.launch.owner import Owner


def test_a_sign_of_life_counts_for_who_gave_it() -> None:
    owner = Owner("here", "boot/pid:[1]/here", 7, "1234", beat=100.0)
    assert owner.at_last(None) is owner
    assert owner.at_last(dataclasses.replace(owner, beat=160.0)).beat == 160.0
    assert owner.at_last(dataclasses.replace(owner, beat=40.0)).beat == 100.0
    for other in ({"pid": 8}, {"space": "boot/pid:[2]/here"}, {"started": "999"}, {"host": "there"}):
        late = dataclasses.replace(owner, beat=160.0, **other)  # of who had the trial before
        assert owner.at_last(late) is owner
