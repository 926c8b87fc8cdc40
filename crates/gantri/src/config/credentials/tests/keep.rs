//! Logging in and out: what is kept is found, what is forgotten is not, and nothing else changes.

use super::*;

fn host(text: &str) -> Host {
    text.parse().unwrap()
}

fn shown(home: &Home, source: impl std::fmt::Display) -> String {
    source.to_string().replace(&*home.path("").to_string_lossy(), "~/")
}

async fn kept(home: &Home, chain: &CredentialChain, at: &str) -> String {
    match chain.store(&host(at), &Credential::basic("me", "canary")).await {
        Ok(source) => shown(home, source),
        Err(error) => shown(home, format!("{:?} {error}", error.kind())),
    }
}

async fn forgotten(home: &Home, chain: &CredentialChain, at: &str) -> Vec<String> {
    chain.erase(&host(at)).await.unwrap().into_iter().map(|source| shown(home, source)).collect()
}

/// A helper that keeps one credential in a file, as it was told, and leaves a trace of what it was asked.
fn keeper(home: &Home, name: &str) -> String {
    let (kept, asked) = (home.path(name), home.path(&format!("{name}.asked")));
    let (kept, asked) = (kept.display(), asked.display());
    format!(
        r#"echo "$*" >> {asked}
        case $1 in
        get) cat > /dev/null; [ -s {kept} ] && cat {kept} || {{ echo credentials not found in native keychain; exit 1; }};;
        store) cat > {kept};;
        erase) cat >> {asked}; rm {kept};;
        esac"#
    )
}

/// Where nothing is configured, docker's file is the first that is read; a file that is named comes before it.
#[tokio::test]
async fn what_is_kept_is_found_again() {
    let home = Home::new().with_user(SESSION, "ghcr.io", "session");
    let named = home.path("deep/auth.json");
    let cases = [
        ("ghcr.io", "ghcr.io", home.chain(&[]), "~/.docker/config.json"),
        ("docker.io", "https://index.docker.io/v1/", home.chain(&[]), "~/.docker/config.json"),
        ("localhost:5000", "localhost:5000", home.chain(&[]).with_auth_file(&named), "~/deep/auth.json"),
        (
            "[::1]:5000",
            "[::1]:5000",
            home.chain(&[("REGISTRY_AUTH_FILE", named.to_str().unwrap())]),
            "~/deep/auth.json",
        ),
    ];
    for (at, key, chain, file) in cases {
        let source = format!("{file}: auths \"{key}\"");
        assert_eq!(kept(&home, &chain, at).await, source);
        assert_eq!(found(&home, &chain, at).await, format!("me, {source}"));
        let (_, credential) = chain.find(&host(at), None).await.unwrap().unwrap();
        assert_eq!(credential, Credential::basic("me", "canary"));
        let token = Credential::IdentityToken("canary".into());
        chain.store(&host(at), &token).await.unwrap();
        assert_eq!(chain.find(&host(at), None).await.unwrap().unwrap().1, token);
    }
    // Out goes everything that would be found, wherever it is.
    let chain = home.chain(&[]).with_auth_file(&named);
    let expected = ["~/.docker/config.json: auths \"ghcr.io\"", "~/run/containers/auth.json: auths \"ghcr.io\""];
    assert_eq!(forgotten(&home, &home.chain(&[]), "ghcr.io").await, expected);
    assert_eq!(forgotten(&home, &chain, "localhost:5000").await, ["~/deep/auth.json: auths \"localhost:5000\""]);
    for (at, chain) in [("ghcr.io", home.chain(&[])), ("localhost:5000", chain)] {
        assert_eq!(found(&home, &chain, at).await, "nobody");
        assert!(forgotten(&home, &chain, at).await.is_empty());
    }
    assert!(found(&home, &home.chain(&[]), "docker.io").await.starts_with("token canary, "));
}

/// A helper that is configured keeps it, and no file holds it beside.
#[tokio::test]
async fn helpers_keep_what_they_are_configured_for() {
    let docker = "~/.docker/config.json";
    let cases = [
        (
            r#""credHelpers": {"ghcr.io": "scripted"}, "credsStore": "other""#,
            "",
            format!("{docker}: credHelpers: docker-credential-scripted"),
        ),
        (r#""credsStore": "scripted""#, "", format!("{docker}: credsStore: docker-credential-scripted")),
        (
            r#""x": 1"#,
            r#"credential-helpers = ["scripted", "containers-auth.json"]"#,
            "~/.config/containers/registries.conf: credential-helpers: docker-credential-scripted".into(),
        ),
    ];
    for (settings, conf, expected) in cases {
        let home = Home::new().with(CONF, conf).with(
            DOCKER,
            &format!(
                r#"{{{settings}, "auths": {{"ghcr.io": {{"auth": "b2xkOm9sZA=="}}, "quay.io": {{"auth": "YTpi"}}}}}}"#
            ),
        );
        let (scripted, other) = (keeper(&home, "kept"), keeper(&home, "other"));
        let chain = home.chain(&[("SCRIPTED", &scripted), ("OTHER", &other)]);
        assert_eq!(kept(&home, &chain, "ghcr.io").await, expected);
        assert_eq!(found(&home, &chain, "ghcr.io").await, format!("me, {expected}"));
        let told: serde_json::Value = serde_json::from_slice(&fs::read(home.path("kept")).unwrap()).unwrap();
        assert_eq!(told, serde_json::json!({"ServerURL": "ghcr.io", "Username": "me", "Secret": "canary"}));
        // A16: what is told on standard input stands nowhere else.
        let asked = fs::read_to_string(home.path("kept.asked")).unwrap();
        assert!(asked.contains("store\n") && !asked.contains("canary"), "{asked}");
        let file = fs::read_to_string(home.path(DOCKER)).unwrap();
        assert!(!file.contains("ghcr.io\": {\"auth") && file.contains(r#""quay.io": {"auth": "YTpi"}"#), "{file}");

        assert_eq!(forgotten(&home, &chain, "ghcr.io").await, [expected]);
        assert!(!home.path("kept").exists() && !home.path("other").exists());
        assert_eq!(found(&home, &chain, "ghcr.io").await, "nobody");
        assert!(forgotten(&home, &chain, "ghcr.io").await.is_empty());
    }
}

/// A14: a helper that fails has kept nothing, and the file does not take its place.
#[tokio::test]
async fn a_helper_that_fails_keeps_nothing() {
    let home = Home::new().with(DOCKER, r#"{"credsStore": "scripted"}"#);
    let before = fs::read(home.path(DOCKER)).unwrap();
    let chain = home.chain(&[("SCRIPTED", "echo canary; exit 2")]);
    let expected = "Credentials credential helper docker-credential-scripted: ended with exit status: 2";
    assert_eq!(kept(&home, &chain, "ghcr.io").await, expected);
    assert_eq!(fs::read(home.path(DOCKER)).unwrap(), before);
    let bearer = chain.store(&host("ghcr.io"), &Credential::Bearer("canary".into())).await.unwrap_err();
    assert_eq!(bearer.kind(), ErrorKind::Unsupported);
    let erased = chain.erase(&host("ghcr.io")).await.unwrap_err();
    assert_eq!(erased.kind(), ErrorKind::Credentials);
}

/// What a variable says comes first and can't be changed: nothing is written that nobody would find.
#[tokio::test]
async fn a_variable_that_hides_what_would_be_kept_is_an_error() {
    let home = Home::new();
    let variable = auths("ghcr.io", "variable");
    let chain = home.chain(&[("DOCKER_AUTH_CONFIG", &variable)]);
    let expected =
        "Config ghcr.io: DOCKER_AUTH_CONFIG: auths \"ghcr.io\" comes first, and hides what is kept elsewhere";
    assert_eq!(kept(&home, &chain, "ghcr.io").await, expected);
    assert!(!home.path(DOCKER).exists());
    assert_eq!(kept(&home, &chain, "quay.io").await, "~/.docker/config.json: auths \"quay.io\"");
    assert!(forgotten(&home, &chain, "ghcr.io").await.is_empty());
}

/// Keys for single repositories are nobody else's: they stay, and win where they did.
#[tokio::test]
async fn keys_for_repositories_stay() {
    let home = Home::new().with_user(DOCKER, "ghcr.io/team", "team");
    let chain = home.chain(&[]);
    assert_eq!(kept(&home, &chain, "ghcr.io").await, "~/.docker/config.json: auths \"ghcr.io\"");
    let team = "team, ~/.docker/config.json: auths \"ghcr.io/team\"";
    assert_eq!(found(&home, &chain, "ghcr.io/team/app").await, team);
    assert_eq!(found(&home, &chain, "ghcr.io/other").await, "me, ~/.docker/config.json: auths \"ghcr.io\"");
    assert_eq!(forgotten(&home, &chain, "ghcr.io").await.len(), 1);
    assert_eq!(found(&home, &chain, "ghcr.io/team/app").await, team);
}
