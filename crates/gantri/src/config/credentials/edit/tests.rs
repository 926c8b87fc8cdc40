use super::*;

fn hub() -> Host {
    Host::docker_hub()
}

fn edited(text: &str, host: &Host) -> String {
    let entry = entry(&Credential::basic("me", "p")).unwrap();
    let key = super::super::key::server(host);
    let text = with(Path::new("config.json"), Some(text.as_bytes()), host, key, &entry).unwrap().unwrap();
    String::from_utf8(text.to_vec()).unwrap()
}

/// What is not the host's own keeps its place and its bytes, however it is written.
#[test]
fn all_else_keeps_its_place_and_its_bytes() {
    let before = r#"{
  "psFormat": "table {{.ID}}\t\u00e9",
  "auths": {
    "quay.io": { "auth": "YTpi",   "email": "a@b" },
    "ghcr.io": {"auth": "b2xkOm9sZA=="},
    "ghcr.io/team": {"auth": "dGVhbTpw"},
    "https://ghcr.io/v1/": {"auth": "b2xkOm9sZA=="},
    "not a key": {}
  },
  "number": 123456789012345678901234567890.10,
  "credHelpers": {"x.example": "y"},
  "twice": 1, "twice": [ 1,2 ]
}"#;
    let after = "{
\t\"psFormat\": \"table {{.ID}}\\t\\u00e9\",
\t\"auths\": {
\t\t\"quay.io\": { \"auth\": \"YTpi\",   \"email\": \"a@b\" },
\t\t\"ghcr.io\": {
\t\t\t\"auth\": \"bWU6cA==\"
\t\t},
\t\t\"ghcr.io/team\": {\"auth\": \"dGVhbTpw\"},
\t\t\"not a key\": {}
\t},
\t\"number\": 123456789012345678901234567890.10,
\t\"credHelpers\": {\"x.example\": \"y\"},
\t\"twice\": 1,
\t\"twice\": [ 1,2 ]
}
";
    let host = "ghcr.io".parse().unwrap();
    assert_eq!(edited(before, &host), after);
    // Once more changes nothing, and away it goes again.
    assert_eq!(edited(after, &host), after);
    let gone = without(Path::new("config.json"), Some(after.as_bytes()), &host, None).unwrap().unwrap();
    let gone = String::from_utf8(gone.to_vec()).unwrap();
    assert_eq!(gone, after.replace("\t\t\"ghcr.io\": {\n\t\t\t\"auth\": \"bWU6cA==\"\n\t\t},\n", ""));
    assert_eq!(without(Path::new("config.json"), Some(gone.as_bytes()), &host, None).unwrap(), None);
}

#[test]
fn what_is_empty_becomes_a_file_with_one_entry() {
    let expected =
        "{\n\t\"auths\": {\n\t\t\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": \"bWU6cA==\"\n\t\t}\n\t}\n}\n";
    for text in ["", "  \n", "{}", r#"{"auths": null}"#, r#"{"auths": {}}"#, r#"{"auths": {"docker.io": {}}}"#] {
        assert_eq!(edited(text, &hub()), expected, "{text:?}");
    }
}

/// Every name and key of the hub makes room for the one that docker looks for.
#[test]
fn one_key_is_left_of_a_hosts() {
    let text = r#"{"auths": {"docker.io": {"auth": "YTpi"}, "index.docker.io": {}, "https://index.docker.io/v1/": {},
        "https://index.docker.io/v1/refresh-token": {"auth": "YTpi"}, "docker.io/library": {"auth": "YTpi"}}}"#;
    let auths: serde_json::Value = serde_json::from_str(&edited(text, &hub())).unwrap();
    let keys: Vec<_> = auths["auths"].as_object().unwrap().keys().collect();
    let expected = ["docker.io/library", "https://index.docker.io/v1/", "https://index.docker.io/v1/refresh-token"];
    assert_eq!(keys, expected);
}

/// What others can read: docker and oras the identity token, podman the user.
#[test]
fn entries_are_written_as_others_read_them() {
    let written = |credential: &Credential| entry(credential).map(|text| text.split_whitespace().collect::<String>());
    assert_eq!(written(&Credential::basic("me", "p:w\"\u{e9}")).unwrap(), r#"{"auth":"bWU6cDp3IsOp"}"#);
    let token = written(&Credential::IdentityToken("a\"b".into())).unwrap();
    assert_eq!(token, r#"{"auth":"PHRva2VuPjo=","identitytoken":"a\"b"}"#);
    for refused in [Credential::basic("a:b", "p"), Credential::Bearer("canary".into()), Credential::Anonymous] {
        let error = written(&refused).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(!format!("{error:?}").contains("canary"));
    }
}

/// A file that can't be understood is not written to.
#[test]
fn what_is_no_such_file_is_left_alone() {
    for text in ["{", "[]", r#"{"auths": []}"#, r#"{"auths": {"ghcr.io": "canary"}}"#, r#"{"credsStore": "../x"}"#] {
        let error = without(Path::new("config.json"), Some(text.as_bytes()), &hub(), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}
