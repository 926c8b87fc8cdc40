use super::*;

const FILE: &str = r#"{"auths": {
    "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
    "https://index.docker.io/v1/access-token": {"auth": "bm86bm8="},
    "ghcr.io": {"auth": "dXNlcjpwOncA"},
    "https://quay.io/v2/": {"username": "u", "password": "p"},
    "acr.example:5000": {"auth": "eDp5", "identitytoken": "id"},
    "bearer.example": {"registrytoken": "bearer"},
    "token.example": {"auth": "PHRva2VuPjppZA=="},
    "twice.example": {"auth": "YTpi"},
    "https://twice.example": {"auth": "YzpkCg=="},
    "https://same.example/v1/": {"auth": "YTpi"},
    "https://same.example/v2/": {"auth": "YTpi"},
    "https://torn.example/v1/": {"auth": "YTpi"},
    "https://torn.example/v2/": {"auth": "Yzpk"},
    "team.example": {"auth": "dGVhbTpw"},
    "team.example/a": {"auth": "YTpw"},
    "team.example/a/b": {"auth": "YjpwCg=="},
    "team.example/empty": {},
    "broken.example": {"auth": "%%%"},
    "colonless.example": {"auth": "YWJj"},
    "empty.example": {}
}, "psFormat": "x"}"#;

fn parsed(text: &str) -> Result<CredentialFile> {
    CredentialFile::parse(CredentialPlace::File("config.json".into()), text.as_bytes())
}

fn found(place: &str) -> String {
    let (host, repository) = place.split_once('/').map_or((place, None), |(host, name)| (host, Some(name)));
    let repository = repository.map(|name| name.parse().unwrap());
    let file = parsed(FILE).unwrap();
    let credential = file.rules(&host.parse().unwrap(), repository.as_ref()).and_then(|rules| match rules.first() {
        Some(Rule::Entry(_, entry)) => entry.credential(),
        Some(Rule::Helper(..)) | None => Ok(Credential::Anonymous),
    });
    match credential {
        Ok(Credential::Anonymous) => "anonymous".into(),
        Ok(Credential::Basic { username, password }) => format!("{username} {}", password.expose().trim_end()),
        Ok(Credential::IdentityToken(token)) => format!("identity {}", token.expose()),
        Ok(Credential::Bearer(token)) => format!("bearer {}", token.expose()),
        Ok(other) => format!("{other:?}"),
        Err(error) => error.to_string(),
    }
}

/// A15: every form of a key is found for its host, and for no look-alike.
#[test]
fn keys_of_every_form_are_found_for_their_host_alone() {
    let cases = [
        ("docker.io", "hub pw"),
        ("index.docker.io", "hub pw"),
        ("docker.io/library/alpine", "hub pw"),
        ("ghcr.io", "user p:w"),
        ("ghcr.io/any/thing", "user p:w"),
        ("quay.io", "u p"),
        ("acr.example:5000", "identity id"),
        ("bearer.example", "bearer bearer"),
        ("token.example", "identity id"),
        ("twice.example", "a b"),
        ("same.example", "a b"),
        ("torn.example", "the keys \"https://torn.example/v1/\" and \"https://torn.example/v2/\" say different things"),
        ("empty.example", "anonymous"),
        ("broken.example", "\"auth\" is not base64 of user:password"),
        ("colonless.example", "\"auth\" is not base64 of user:password"),
        // the longest path wins, part by part
        ("team.example", "team p"),
        ("team.example/x", "team p"),
        ("team.example/a", "a p"),
        ("team.example/a/x", "a p"),
        ("team.example/a/b", "b p"),
        ("team.example/a/b/c", "b p"),
        ("team.example/a/bc", "a p"),
        ("team.example/ab", "team p"),
        // as with podman, what is there decides, even if it says nothing
        ("team.example/empty/x", "anonymous"),
    ];
    for (place, expected) in cases {
        assert_eq!(found(place), expected, "{place}");
    }
}

/// A15: a host is another host if a letter differs.
#[test]
fn look_alikes_of_a_host_get_nothing() {
    let look_alikes = [
        "ghcr.io.evil.net",
        "ghcr.io.",
        "xghcr.io",
        "ghcr.io:443",
        "ghcr.io:80",
        "ghcr.i0",
        "ghcr.co",
        "ghcr.ioo",
        "ghcr",
        "io",
        "sub.ghcr.io",
        "ghcr-io.evil.net",
        "evil.net/ghcr.io",
        "ghcr.io.evil.net/ghcr.io/app",
        "docker.io.evil.net",
        "registry.docker.io",
        "docker.com",
        "index.docker.io:443",
        "index.docker.io.evil.net",
        "acr.example",
        "acr.example:5001",
        "acr.example:50000",
        "team.example.evil.net/a",
        "team.example:443/a/b",
        "127.0.0.1",
    ];
    let hosts = look_alikes.iter().filter(|place| place.split('/').next().unwrap().parse::<Host>().is_ok());
    assert!(hosts.clone().count() >= 20);
    for place in hosts {
        assert_eq!(found(place), "anonymous", "{place}");
    }
}

#[test]
fn null_stands_for_nothing() {
    let file = parsed(r#"{"auths": null, "credHelpers": null, "credsStore": null}"#).unwrap();
    assert!(file.rules(&"ghcr.io".parse().unwrap(), None).unwrap().is_empty());
}

/// A host's own helper stands before the general one, and is asked in the words of whoever wrote its key.
#[test]
fn helpers_come_before_entries_and_are_asked_in_their_words() {
    let text = r#"{"credHelpers": {"ghcr.io": "own", "docker.io": "hub", "https://quay.io/v1/": "url"},
        "credsStore": "all", "auths": {"ghcr.io": {"auth": "YTpi"}}}"#;
    let by_url = r#"{"credHelpers": {"https://index.docker.io/v1/": "hub"}}"#;
    let cases = [
        (text, "ghcr.io", "credHelpers own ghcr.io, ghcr.io"),
        (text, "docker.io", "credHelpers hub docker.io"),
        (text, "quay.io", "credHelpers url quay.io"),
        (text, "localhost:5000", "credsStore all localhost:5000"),
        (by_url, "docker.io", "credHelpers hub https://index.docker.io/v1/"),
        (r#"{"credsStore": "all"}"#, "docker.io", "credsStore all https://index.docker.io/v1/"),
        (r#"{"credsStore": ""}"#, "docker.io", ""),
    ];
    for (text, host, expected) in cases {
        let file = parsed(text).unwrap();
        let host: Host = host.parse().unwrap();
        let rules = file.rules(&host, None).unwrap();
        let told: Vec<String> = rules
            .iter()
            .map(|rule| match rule {
                Rule::Helper(helper, setting, server) => {
                    format!("{setting} {} {server}", helper.program().strip_prefix("docker-credential-").unwrap())
                }
                Rule::Entry(key, _) => (*key).to_owned(),
            })
            .collect();
        assert_eq!(told.join(", "), expected, "{host}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let printed = format!("{:?}", parsed(FILE).unwrap());
    for secret in ["aHViOnB3", "\"p\"", "\"id\"", "\"bearer\"", "YTpi"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn a_file_that_is_none_is_named() {
    let error = CredentialFile::parse(CredentialPlace::File("/x/config.json".into()), b"{").unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Config, "/x/config.json".to_owned()));
}

#[test]
fn what_is_no_object_is_no_configuration() {
    for text in ["[]", " [null, null, null]", "3", "\"text\"", "null"] {
        let error = parsed(text).unwrap_err();
        let expected = "config.json: not docker's configuration: it is JSON, but not an object";
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Config, expected), "{text}");
    }
}

#[test]
fn a_value_in_the_wrong_place_is_told_by_its_place_and_never_shown() {
    let cases = [
        (r#"{"auths": []}"#, 10),
        (r#"{"auths": {"ghcr.io": "dXNlcjpodW50ZXIy"}}"#, 40),
        (r#"{"credHelpers": {"ghcr.io": {"hunter2": 1}}}"#, 28),
    ];
    for (text, column) in cases {
        let error = parsed(text).unwrap_err();
        let expected =
            format!("config.json: not docker's configuration: an unexpected value at line 1 column {column}");
        assert_eq!(error.to_string(), expected, "{text}");
        assert!(std::error::Error::source(&error).is_none(), "{text}");
    }
}
