//! References that are none: usage errors, with the offset of the first bad byte.

use crate::scene;

/// Holds a refused command line against its message.
fn usage(arguments: &[&str], error: &str, hint: &str) {
    scene().refuses(arguments).is(2, error, hint);
}

#[test]
fn an_upper_case_repository_is_refused_with_its_offset_and_the_spelling_that_would_do() {
    usage(&["digest", "registry.example/Team/app"], "?", "");
}

#[test]
fn a_character_that_no_name_has_is_refused_with_its_offset() {
    usage(&["digest", "registry.example/a b"], "?", "");
}

#[test]
fn an_empty_reference_is_refused() {
    usage(&["digest", ""], "?", "");
}

#[test]
fn a_tag_that_is_none_is_refused_with_its_offset() {
    usage(&["digest", "registry.example/a:-v1"], "?", "");
}

#[test]
fn a_digest_that_is_too_short_is_refused_with_its_offset() {
    usage(&["digest", "registry.example/a@sha256:abc"], "?", "");
}

#[test]
fn a_bare_digest_is_refused() {
    usage(&["digest", &"ab".repeat(32)], "?", "");
}

#[test]
fn a_reference_that_climbs_is_refused() {
    usage(&["digest", "registry.example/../etc"], "?", "");
}

#[test]
fn a_host_that_is_none_is_refused() {
    usage(&["digest", "registry.example:port/a"], "?", "");
}

#[test]
fn a_reference_of_terminal_controls_is_shown_escaped() {
    usage(&["digest", "registry.example/\u{1b}]0;owned\u{7}"], "?", "");
}

#[test]
fn a_layout_without_a_directory_is_refused() {
    usage(&["digest", "oci:"], "?", "");
}

#[test]
fn a_layout_with_a_tag_that_is_none_is_refused_with_its_offset() {
    usage(&["digest", "oci:images:-v1"], "?", "");
}

#[test]
fn pull_goes_to_a_layout_and_nowhere_else() {
    usage(&["pull", "registry.example/a", "images"], "?", "");
}

#[test]
fn push_goes_to_a_registry_and_nowhere_else() {
    usage(&["push", "oci:images", "oci:others"], "?", "");
}

#[test]
fn tags_are_those_of_a_repository_not_of_a_tag() {
    usage(&["tags", "registry.example/a:v1"], "?", "");
}

#[test]
fn tags_are_those_of_a_repository_not_of_a_digest() {
    usage(&["tags", &format!("registry.example/a@sha256:{}", "ab".repeat(32))], "?", "");
}

#[test]
fn tags_are_those_of_a_layout_not_of_its_tag() {
    usage(&["tags", "oci:images:v1"], "?", "");
}

#[test]
fn a_blob_is_named_by_its_digest() {
    usage(&["blob", "registry.example/a:v1"], "?", "");
}

#[test]
fn a_platform_that_is_none_is_refused() {
    usage(&["unpack", "registry.example/a", "rootfs", "--platform", "linux"], "?", "");
}

#[test]
fn an_address_to_listen_on_has_a_port() {
    usage(&["serve", "--listen", "localhost"], "?", "");
}

#[test]
fn an_option_that_there_is_not_is_one_line_too() {
    usage(&["digest", "--fast", "registry.example/a"], "?", "");
}

#[test]
fn an_argument_that_is_missing_is_one_line_too() {
    usage(&["unpack", "registry.example/a"], "?", "");
}
