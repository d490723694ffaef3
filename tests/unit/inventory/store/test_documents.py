"""Profiles as JSON documents in a column."""

import json

from kadeploy_inventory.domain.cluster import ClusterProfile
from kadeploy_inventory.store.documents import from_document, to_document
from tests.unit.inventory.builders import full_profile


def test_a_profile_comes_back_from_json_as_it_was() -> None:
    full = full_profile()
    assert from_document(ClusterProfile, json.loads(json.dumps(to_document(full)))) == full


def test_an_empty_document_is_an_empty_profile() -> None:
    assert from_document(ClusterProfile, {}) == ClusterProfile()
    assert from_document(ClusterProfile, to_document(ClusterProfile())) == ClusterProfile()
