//! References that are none: usage errors, with the offset of the first bad byte.

use crate::scene;

/// Holds a refused command line against its message.
fn usage(arguments: &[&str], error: &str, hint: &str) {
    scene().refuses(arguments).is(2, error, hint);
}

#[test]
fn an_upper_case_repository_is_refused_with_its_offset_and_the_spelling_that_would_do() {
    usage(
        &["digest", "registry.example/Team/app"],
        "reference \"registry.example/Team/app\": a repository name is lower case (at byte 17); did you mean \"registry.example/team/app\"?",
        "",
    );
}

#[test]
fn a_character_that_no_name_has_is_refused_with_its_offset() {
    usage(
        &["digest", "registry.example/a b"],
        "reference \"registry.example/a b\": a repository name is made of a-z, 0-9 and . _ - / between (at byte 18)",
        "",
    );
}

#[test]
fn an_empty_reference_is_refused() {
    usage(&["digest", ""], "reference \"\": a reference is not empty (at byte 0)", "");
}

#[test]
fn a_tag_that_is_none_is_refused_with_its_offset() {
    usage(
        &["digest", "registry.example/a:-v1"],
        "reference \"registry.example/a:-v1\": a tag is [A-Za-z0-9_][A-Za-z0-9._-]* (at byte 19)",
        "",
    );
}

#[test]
fn a_digest_that_is_too_short_is_refused_with_its_offset() {
    usage(
        &["digest", "registry.example/a@sha256:abc"],
        "reference \"registry.example/a@sha256:abc\": sha256 needs exactly 64 lower-case hex digits (at byte 29)",
        "",
    );
}

#[test]
fn a_bare_digest_is_refused() {
    usage(
        &["digest", &"ab".repeat(32)],
        "reference \"abababababababababababababababababababababababababababababababab\": 64 hex digits are an image id, not the name of a repository (at byte 0)",
        "",
    );
}

#[test]
fn a_reference_that_climbs_is_refused() {
    usage(
        &["digest", "registry.example/../etc"],
        "reference \"registry.example/../etc\": a path component starts with a letter or digit (at byte 17)",
        "",
    );
}

#[test]
fn a_host_that_is_none_is_refused() {
    usage(
        &["digest", "registry.example:port/a"],
        "reference \"registry.example:port/a\": a port is a number from 1 to 65535 (at byte 17)",
        "",
    );
}

#[test]
fn a_reference_of_terminal_controls_is_shown_escaped() {
    usage(
        &["digest", "registry.example/\u{1b}]0;owned\u{7}"],
        "reference \"registry.example/\\u{1b}]0;owned\\u{7}\": a repository name is made of a-z, 0-9 and . _ - / between (at byte 17)",
        "",
    );
}

#[test]
fn a_layout_without_a_directory_is_refused() {
    usage(&["digest", "oci:"], "location \"oci:\": the directory is missing", "");
}

#[test]
fn a_layout_with_a_tag_that_is_none_is_refused_with_its_offset() {
    usage(
        &["digest", "oci:images:-v1"],
        "location \"oci:images:-v1\": tag \"-v1\": a tag is [A-Za-z0-9_][A-Za-z0-9._-]* (at byte 0)",
        "",
    );
}

#[test]
fn pull_goes_to_a_layout_or_an_archive_and_nowhere_else() {
    usage(
        &["pull", "registry.example/a", "images"],
        "\"images\": a layout or an archive is wanted here, oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME]",
        "",
    );
}

#[test]
fn push_goes_to_a_registry_and_nowhere_else() {
    usage(
        &["push", "oci:images", "oci:others"],
        "\"oci:others\": a registry reference is wanted here, HOST/NAME[:TAG][@DIGEST]",
        "",
    );
}

#[test]
fn tags_are_those_of_a_repository_not_of_a_tag() {
    usage(
        &["tags", "registry.example/a:v1"],
        "\"registry.example/a:v1\": a repository is wanted here, HOST/NAME or oci:DIR, without tag or digest",
        "",
    );
}

#[test]
fn tags_are_those_of_a_repository_not_of_a_digest() {
    usage(
        &["tags", &format!("registry.example/a@sha256:{}", "ab".repeat(32))],
        "\"registry.example/a@D1\": a repository is wanted here, HOST/NAME or oci:DIR, without tag or digest",
        "",
    );
}

#[test]
fn tags_are_those_of_a_layout_not_of_its_tag() {
    usage(
        &["tags", "oci:images:v1"],
        "\"oci:images:v1\": a repository is wanted here, HOST/NAME or oci:DIR, without tag or digest",
        "",
    );
}

#[test]
fn a_blob_is_named_by_its_digest() {
    usage(
        &["blob", "registry.example/a:v1"],
        "\"registry.example/a:v1\": a blob is named by its digest, REPO@DIGEST",
        "",
    );
}

#[test]
fn a_platform_that_is_none_is_refused() {
    usage(
        &["unpack", "registry.example/a", "rootfs", "--platform", "linux"],
        "platform \"linux\": a platform has the form os/architecture[/variant] (at byte 5)",
        "",
    );
}

#[test]
fn an_address_to_listen_on_has_a_port() {
    usage(
        &["serve", "--listen", "localhost"],
        "--listen \"localhost\": an address and a port are wanted, such as HOST",
        "",
    );
}

#[test]
fn an_option_that_there_is_not_is_one_line_too() {
    usage(
        &["digest", "--fast", "registry.example/a"],
        "unexpected argument '--fast' found",
        "gantri digest [OPTIONS] <REF>",
    );
}

#[test]
fn an_argument_that_is_missing_is_one_line_too() {
    usage(
        &["unpack", "registry.example/a"],
        "the following required arguments were not provided: <DIR>",
        "gantri unpack <REF> <DIR>",
    );
}
