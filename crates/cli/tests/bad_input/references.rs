//! References that are none: usage errors, with the offset of the first bad byte.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

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
fn a_path_is_written_as_a_layout() {
    let scene = scene();
    let wanted =
        "a layout or an archive is wanted here, oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME]";
    for path in ["/tmp/xx", "./xx", "../xx"] {
        let hint = format!("an image layout in a directory is written oci:{path}");
        scene.refuses(["pull", "registry.example/a", path]).is(2, &format!("{path:?}: {wanted}"), &hint);
        scene.refuses(["push", path, "registry.example/a"]).is(2, &format!("{path:?}: {wanted}"), &hint);
        assert_eq!(scene.refuses(["digest", path]).hint, Some(hint));
    }
}

/// A16
#[test]
fn a_user_and_a_password_in_a_reference_are_refused_and_not_shown() {
    let error = "reference \"..@HOST/team/app:v2\": a reference carries no user and password";
    let host = "127.0.0.1:5000";
    let reference = format!("user:pw@{host}/team/app:v2");
    for arguments in [
        &["digest", &reference][..],
        &["explain", &reference],
        &["push", "oci:images", &reference],
        &["pull", &reference, "oci:new"],
        &["tags", &reference],
    ] {
        usage(arguments, error, "gantri login HOST");
    }
    for verb in ["login", "logout", "repositories"] {
        let login = format!("user:pw@{host}");
        usage(&[verb, &login], "host \"..@HOST\": it carries no user and password", "gantri login HOST");
    }
}

#[test]
fn a_registry_without_a_name_is_no_image_of_the_hub() {
    for registry in ["127.0.0.1:36049", "localhost:5000", "registry.example:443", "node.js:18"] {
        let error = format!("{registry:?}: it looks like a registry; a name is missing: HOST/NAME");
        let hint = format!(
            "docker.io/library/{registry} if an image of Docker Hub is meant; what an alias stands for is named in full"
        );
        let masked = |text: &str| text.replace("127.0.0.1:36049", "HOST");
        usage(&["digest", registry], &masked(&error), &masked(&hint));
    }
}

#[test]
fn a_registry_is_named_without_a_path() {
    for arguments in [&["repositories", "ex.test/team"][..], &["login", "ex.test/x"]] {
        let error = format!("host {:?}: a host without a path is wanted", arguments[1]);
        usage(arguments, &error, "");
    }
}

#[test]
fn a_value_that_is_none_is_told_with_the_help_of_its_command() {
    usage(
        &["copy", "--jobs", "0", "oci:a", "oci:b"],
        "invalid value '0' for '--jobs <N>': 0 is not in 1..=65535",
        "gantri copy --help",
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

#[test]
fn what_is_no_text_stands_in_no_way() {
    let arguments: [&[u8]; 7] = [b"--cert-dir", b"\xff", b"copy", b"--jobs", b"0", b"oci:a", b"oci:b"];
    let ran = scene().run(arguments.map(OsStr::from_bytes));
    let error = "error: invalid value '0' for '--jobs <N>': 0 is not in 1..=65535\nhint: gantri copy --help\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), error));
}
