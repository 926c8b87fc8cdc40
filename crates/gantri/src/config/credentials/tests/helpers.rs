//! Helpers that do what they should not (A14), and what they get to see (A16).

use std::time::Duration;

use super::*;

fn home() -> Home {
    Home::new().with(DOCKER, r#"{"credHelpers": {"ghcr.io": "scripted"}, "auths": {"ghcr.io": {"auth": "YTpi"}}}"#)
}

/// A14: whatever is wrong with a helper is an error for its host, in bounded time and memory, and nothing else is asked;
/// A16: what it said is not shown.
#[tokio::test]
async fn a_helper_that_misbehaves_is_an_error_for_its_host() {
    let not_found = "credentials not found in native keychain";
    let cases = [
        ("yes canary", "no answer: more than 65536 bytes (limit credential)"),
        ("exec yes canary", "no answer: more than 65536 bytes (limit credential)"),
        ("exit 1", "ended with exit status: 1"),
        ("echo canary; echo canary >&2; exit 1", "ended with exit status: 1"),
        ("kill -9 $$", "ended with signal: 9 (SIGKILL)"),
        ("echo canary", "the answer is no credential"),
        ("echo '[\"canary\", 3]'", "the answer is no credential"),
        ("echo '{\"Username\": \"canary\"}'", "the answer is no credential"),
        ("echo '{\"Username\": \"u\", \"Secret\": {\"canary\": 1}}'", "the answer is no credential"),
        ("printf '\\377\\376canary'", "the answer is no credential"),
        ("exit 0", "the answer is no credential"),
        // The common words count only if they are all that was said, and the helper failed.
        (&format!("echo {not_found}"), "the answer is no credential"),
        (&format!("echo {not_found} for canary; exit 1"), "ended with exit status: 1"),
    ];
    for (script, expected) in cases {
        let home = home();
        let chain = home.chain(&[("SCRIPTED", script)]);
        assert_eq!(failed(&home, &chain).await, expected, "{script}");
        // Another host is none of its business.
        assert_eq!(found(&home, &chain, "quay.io").await, "nobody");
    }
}

/// A14: who never answers has a bounded time to do so, whether or not it holds its output open.
#[tokio::test]
async fn a_helper_that_hangs_is_an_error_in_time() {
    let mut limits = Limits::default();
    assert_eq!(limits.credential_helper, Duration::from_secs(30));
    limits.credential_helper = Duration::from_millis(100);
    for script in ["sleep 20", "exec sleep 20", "exec sleep 20 >&-", "cat; exec sleep 20"] {
        let home = home();
        let chain = home.chain(&[("SCRIPTED", script)]).with_limits(limits.clone()).unwrap();
        assert_eq!(failed(&home, &chain).await, "no answer within 100ms (limit credential_helper)", "{script}");
    }
}

/// With no time at all every helper would fail, whatever it has.
#[test]
fn a_bound_that_leaves_helpers_no_time_is_refused() {
    let mut limits = Limits::default();
    limits.credential_helper = Duration::ZERO;
    let error = home().chain(&[]).with_limits(limits).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Config, "limit credential_helper = 0: some time is needed")
    );
}

/// What is said about the helper of `ghcr.io`.
async fn failed(home: &Home, chain: &CredentialChain) -> String {
    let error = chain.find(&"ghcr.io".parse().unwrap(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    let mut told = error.to_string().replace(&*home.path("").to_string_lossy(), "~/");
    if let Some(source) = std::error::Error::source(&error) {
        told = format!("{told}: {source}");
    }
    let prefix = "~/.docker/config.json: ghcr.io: credential helper docker-credential-scripted: ";
    told.strip_prefix(prefix).unwrap_or_else(|| panic!("{told}")).to_owned()
}

/// What a helper may say.
#[tokio::test]
async fn helpers_answer_names_tokens_or_nothing() {
    let from = "~/.docker/config.json: credHelpers: docker-credential-scripted";
    let cases = [
        (r#"echo '{"ServerURL":"s","Username":"u","Secret":"p"}'"#, format!("u, {from}")),
        (r#"echo '{"Username":"<token>","Secret":"t"}'"#, format!("token t, {from}")),
        (r#"read server; echo "{\"Username\":\"$1 $server $#\",\"Secret\":\"p\"}""#, format!("get ghcr.io 1, {from}")),
        // It need not read the question.
        (r#"exec <&-; echo '{"Username":"u","Secret":"p"}'"#, format!("u, {from}")),
        ("echo credentials not found in native keychain; exit 1", "a, ~/.docker/config.json: auths \"ghcr.io\"".into()),
        (r#"echo '{"Username":"","Secret":""}'"#, "a, ~/.docker/config.json: auths \"ghcr.io\"".into()),
    ];
    for (script, expected) in cases {
        let home = home();
        assert_eq!(found(&home, &home.chain(&[("SCRIPTED", script)]), "ghcr.io").await, expected, "{script}");
    }
}

/// A14: a helper is what the search path has of that name, never what lies where we are.
#[tokio::test]
async fn helpers_are_found_on_the_search_path_alone() {
    let says = r#"echo '{"Username":"u","Secret":"p"}'"#;
    let here = std::env::current_dir().unwrap();
    let relative = Path::new(HELPERS).strip_prefix(here).unwrap().to_str().unwrap().to_owned();
    let missing = "Credentials ~/.docker/config.json: ghcr.io: credential helper docker-credential-scripted: is not on the \
                   search path";
    let found_it = "u, ~/.docker/config.json: credHelpers: docker-credential-scripted";
    let cases = [
        (format!("{HELPERS}:/usr/bin:/bin"), found_it),
        (format!("/not/there:{HELPERS}:/bin"), found_it),
        (relative.clone(), missing),
        (format!("./{relative}:/bin"), missing),
        (format!(":.:..:{relative}"), missing),
        ("/bin".to_owned(), missing),
        (String::new(), missing),
    ];
    for (path, expected) in cases {
        let home = home();
        let chain = home.chain(&[("SCRIPTED", says), ("PATH", &path)]);
        assert_eq!(found(&home, &chain, "ghcr.io").await, expected, "{path:?}");
    }
    // What can't be run is no program.
    let home = Home::new().with(DOCKER, r#"{"credsStore": "unrunnable"}"#);
    let told = found(&home, &home.chain(&[]), "ghcr.io").await;
    assert!(told.ends_with("docker-credential-unrunnable: is not on the search path"), "{told}");
}

/// A16: a helper is told its question and no secret of ours.
#[tokio::test]
async fn a_helper_sees_no_secret() {
    let home = home();
    let seen = home.path("seen");
    let script = format!(
        r#"{{ env; cat /proc/$$/cmdline; cat; }} > {}; echo '{{"Username":"u","Secret":"p"}}'"#,
        seen.display()
    );
    let canary = auths("quay.io", "canary");
    let chain = home
        .chain(&[("SCRIPTED", &script), ("DOCKER_AUTH_CONFIG", &canary), ("KEPT", "kept")])
        .with_credential("other.example".parse().unwrap(), Credential::basic("canary", "canary"));
    assert!(found(&home, &chain, "ghcr.io").await.starts_with("u, "));
    let seen = String::from_utf8_lossy(&fs::read(seen).unwrap()).into_owned();
    assert!(seen.contains("KEPT=kept") && seen.contains("ghcr.io"), "{seen}");
    for secret in ["canary", "Y2FuYXJ5", "DOCKER_AUTH_CONFIG"] {
        assert!(!seen.contains(secret), "{seen}");
    }
}

/// Dropping the lookup ends the helper.
#[tokio::test]
async fn a_lookup_that_is_dropped_leaves_no_helper() {
    let home = home();
    let (start, end) = (home.path("start"), home.path("end"));
    let made = std::process::Command::new("mkfifo").args([&start, &end]).status().unwrap();
    assert!(made.success());
    // Its end closes the second pipe, whoever ends it.
    let script = format!("exec 9>{}; echo > {}; exec sleep 60", end.display(), start.display());
    let chain = home.chain(&[("SCRIPTED", &script)]);
    let host = "ghcr.io".parse().unwrap();
    let ended = tokio::task::spawn_blocking(move || fs::read(end));
    let began = tokio::task::spawn_blocking(move || fs::read(start));
    tokio::select! {
        _ = chain.find(&host, None) => panic!("it sleeps"),
        began = began => assert_eq!(began.unwrap().unwrap(), b"\n"),
    }
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
    assert!(ended.unwrap().unwrap().unwrap().is_empty());
}
