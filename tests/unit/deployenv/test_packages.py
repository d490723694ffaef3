"""The list of packages of the deployment environment."""

from environments.debian_system import installed_packages

from kadeploy_deployenv.packages import PackageSet, deb_versions


def test_versions_are_read_from_the_names_of_packages() -> None:
    names = ["zlib1g_1%3a1.2.13.dfsg-1_amd64.deb", "dash_0.5.12-2_amd64.deb", "partial", "lock"]

    assert deb_versions(names) == {"zlib1g": "1:1.2.13.dfsg-1", "dash": "0.5.12-2"}


def test_a_set_of_packages_is_known_by_all_that_it_is_made_from() -> None:
    sets = [
        PackageSet(names=("tar", "dash"), suite="bookworm"),
        PackageSet(names=("tar",), suite="bookworm"),
        PackageSet(names=("tar", "dash"), suite="trixie"),
        PackageSet(names=("tar", "dash"), suite="bookworm", components=("main", "non-free-firmware")),
        PackageSet(names=("tar", "dash"), suite="bookworm", mirrors=("http://mirror.example/debian",)),
    ]

    assert len({one.digest for one in sets}) == len(sets)
    assert PackageSet(names=("dash", "tar"), suite="bookworm").digest == sets[0].digest


def test_versions_are_read_from_dpkgs_status() -> None:
    status = "Package: tar\nVersion: 1.34\nDescription: packs\n files: many\n\nPackage: zstd\nVersion: 1.5\n"

    assert installed_packages(status) == {"tar": "1.34", "zstd": "1.5"}
