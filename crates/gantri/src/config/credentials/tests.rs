//! The chain: which place wins, what is read, and who is told.

mod examples;
mod helpers;
mod keep;

use std::fs;
use std::path::Path;

use gantri_core::ErrorKind;
use tempfile::TempDir;

use super::*;

/// A home and what lies in it.
struct Home(TempDir);

/// Where the scripted helpers lie.
const HELPERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helpers");

const DOCKER: &str = ".docker/config.json";
const SESSION: &str = "run/containers/auth.json";
const USER: &str = ".config/containers/auth.json";
const CONF: &str = ".config/containers/registries.conf";

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn with(self, name: &str, text: &str) -> Self {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
        self
    }

    /// A file in which the user of `host` is called so.
    fn with_user(self, name: &str, key: &str, user: &str) -> Self {
        self.with(name, &auths(key, user))
    }

    fn chain(&self, variables: &[(&str, &str)]) -> CredentialChain {
        let path = format!("{HELPERS}:/usr/bin:/bin");
        let (home, run) = (self.path(""), self.path("run"));
        let own = [("HOME", home.to_str().unwrap()), ("XDG_RUNTIME_DIR", run.to_str().unwrap()), ("PATH", &path)];
        let environment = Environment::of(own.into_iter().chain(variables.iter().copied()));
        // The machine's own configuration is none of the tests' business.
        CredentialChain::found_in(environment, &self.path("root"))
    }
}

fn auths(key: &str, user: &str) -> String {
    use base64::Engine;

    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:canary"));
    format!(r#"{{"auths": {{"{key}": {{"auth": "{auth}"}}}}}}"#)
}

/// Who is found at `HOST[/REPOSITORY]`, and where below the home.
async fn found(home: &Home, chain: &CredentialChain, place: &str) -> String {
    let (host, repository) = place.split_once('/').map_or((place, None), |(host, name)| (host, Some(name)));
    let (host, repository) = (host.parse().unwrap(), repository.map(|name| name.parse().unwrap()));
    let told = match chain.find(&host, repository.as_ref()).await {
        Ok(None) => "nobody".to_owned(),
        Ok(Some((source, Credential::Basic { username, .. }))) => format!("{username}, {source}"),
        Ok(Some((source, Credential::IdentityToken(token)))) => format!("token {}, {source}", token.expose()),
        Ok(Some((source, other))) => format!("{other:?}, {source}"),
        Err(error) => format!("{:?} {error}", error.kind()),
    };
    told.replace(&*home.path("").to_string_lossy(), "~/")
}

/// The whole order, from the top: what is taken away leaves the answer to the next.
#[tokio::test]
async fn places_are_asked_in_one_order() {
    let variable = auths("ghcr.io", "variable");
    let home = Home::new()
        .with_user("named.json", "ghcr.io", "named")
        .with_user(DOCKER, "ghcr.io", "docker")
        .with_user(SESSION, "ghcr.io", "session")
        .with_user(USER, "ghcr.io", "user");
    let named = home.path("named.json");
    let variables = [("DOCKER_AUTH_CONFIG", variable.as_str()), ("REGISTRY_AUTH_FILE", named.to_str().unwrap())];

    let given = home.chain(&variables).with_credential("ghcr.io".parse().unwrap(), Credential::basic("given", "p"));
    assert_eq!(found(&home, &given, "ghcr.io").await, "given, given with the call");
    // What was given for one host is nothing to another.
    assert_eq!(found(&home, &given, "quay.io").await, "nobody");

    let all = home.chain(&variables);
    assert_eq!(found(&home, &all, "ghcr.io").await, "variable, DOCKER_AUTH_CONFIG: auths \"ghcr.io\"");
    let called = home.chain(&[]).with_auth_file(&named);
    for chain in [home.chain(&variables[1..]), called] {
        assert_eq!(found(&home, &chain, "ghcr.io").await, "named, ~/named.json: auths \"ghcr.io\"");
    }
    let chain = home.chain(&[]);
    let expected = [
        (DOCKER, "docker, ~/.docker/config.json: auths \"ghcr.io\""),
        (SESSION, "session, ~/run/containers/auth.json: auths \"ghcr.io\""),
        (USER, "user, ~/.config/containers/auth.json: auths \"ghcr.io\""),
    ];
    for (file, expected) in expected {
        assert_eq!(found(&home, &chain, "ghcr.io").await, expected);
        fs::remove_file(home.path(file)).unwrap();
    }
    assert_eq!(found(&home, &chain, "ghcr.io").await, "nobody");
}

/// Each variable that says where a file lies.
#[tokio::test]
async fn variables_say_where_files_lie() {
    let home = Home::new()
        .with_user("docker/config.json", "ghcr.io", "docker")
        .with_user("xdg/containers/auth.json", "ghcr.io", "xdg")
        .with_user(SESSION, "ghcr.io", "session");
    let (docker, xdg) = (home.path("docker"), home.path("xdg"));
    let (docker, xdg) = (docker.to_str().unwrap(), xdg.to_str().unwrap());
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[("DOCKER_CONFIG", docker)], "docker, ~/docker/config.json: auths \"ghcr.io\""),
        (&[("DOCKER_CONFIG", "")], "session, ~/run/containers/auth.json: auths \"ghcr.io\""),
        (&[("XDG_RUNTIME_DIR", ""), ("XDG_CONFIG_HOME", xdg)], "xdg, ~/xdg/containers/auth.json: auths \"ghcr.io\""),
        // A file that is named stands in for the session's, as with podman, even if it is not there.
        (
            &[("REGISTRY_AUTH_FILE", "/not/there"), ("XDG_CONFIG_HOME", xdg)],
            "xdg, ~/xdg/containers/auth.json: auths \"ghcr.io\"",
        ),
        (&[("HOME", ""), ("XDG_RUNTIME_DIR", "")], "nobody"),
    ];
    for (variables, expected) in cases {
        assert_eq!(found(&home, &home.chain(variables), "ghcr.io").await, expected, "{variables:?}");
    }
}

/// Who has no session is known where podman and skopeo keep credentials then; what bars the way there is no error.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_has_no_session_has_a_file_by_number() {
    let own = format!("root/run/containers/{}", rustix::process::getuid().as_raw());
    let file = format!("{own}/auth.json");
    let home = Home::new().with_user(&file, "ghcr.io", "number").with_user(USER, "ghcr.io", "user");
    let none = ("XDG_RUNTIME_DIR", "");
    let number = format!("number, ~/{file}: auths \"ghcr.io\"");
    let user = "user, ~/.config/containers/auth.json: auths \"ghcr.io\"";
    assert_eq!(found(&home, &home.chain(&[none]), "ghcr.io").await, number);
    for variables in [&[][..], &[none, ("REGISTRY_AUTH_FILE", "/not/there")]] {
        assert_eq!(found(&home, &home.chain(variables), "ghcr.io").await, user, "{variables:?}");
    }
    fs::remove_dir_all(home.path(&own)).unwrap();
    let home = home.with(&own, "no directory");
    assert_eq!(found(&home, &home.chain(&[none]), "ghcr.io").await, user);
}

/// A broken place is the end when it is reached, and no matter before.
#[tokio::test]
async fn a_broken_place_is_an_error_when_it_is_reached() {
    let home = Home::new().with(DOCKER, "{").with_user("named.json", "ghcr.io", "named");
    let chain = home.chain(&[]).with_auth_file(home.path("named.json"));
    assert_eq!(found(&home, &chain, "ghcr.io").await, "named, ~/named.json: auths \"ghcr.io\"");
    assert_eq!(found(&home, &chain, "quay.io").await, "Config ~/.docker/config.json");
    let canary = home.chain(&[("DOCKER_AUTH_CONFIG", r#"{"auths": {"ghcr.io": "canary"}}"#)]);
    let expected = "Config DOCKER_AUTH_CONFIG: not docker's configuration: an unexpected value at line 1 column 30";
    assert_eq!(found(&home, &canary, "ghcr.io").await, expected);
    assert!(!format!("{canary:?} {chain:?}").contains("canary"));

    let large = Home::new().with(DOCKER, &" ".repeat((1 << 20) + 1));
    let expected = "LimitExceeded ~/.docker/config.json: over the limit credential_file = 1048576";
    assert_eq!(found(&large, &large.chain(&[]), "ghcr.io").await, expected);
    let conf = Home::new().with(CONF, "x = 1\ncredential-helpers = \"one\"");
    let expected = "Config ~/.config/containers/registries.conf:2: credential-helpers: not an array of strings";
    assert_eq!(found(&conf, &conf.chain(&[]), "ghcr.io").await, expected);
}

/// What is told without asking a helper: all that may answer, in order.
#[tokio::test]
async fn sources_are_told_without_asking_anybody() {
    let home = Home::new()
        .with(DOCKER, r#"{"credsStore": "scripted", "auths": {"ghcr.io": {}, "quay.io": {"auth": "YTpi"}}}"#)
        .with_user(SESSION, "ghcr.io/team", "team")
        .with(CONF, r#"credential-helpers = ["other", "containers-auth.json"]"#);
    // Either helper would leave a trace.
    let ran = home.path("ran");
    let script = format!("touch {}", ran.display());
    let chain = home.chain(&[("SCRIPTED", &script), ("OTHER", &script)]);
    let sources = |host: &str, repository: Option<&str>| {
        let repository = repository.map(|name| name.parse().unwrap());
        let sources = chain.sources(&host.parse().unwrap(), repository.as_ref()).unwrap();
        sources
            .iter()
            .map(|source| source.to_string().replace(&*home.path("").to_string_lossy(), "~/"))
            .collect::<Vec<_>>()
    };
    let store = "~/.docker/config.json: credsStore: docker-credential-scripted";
    let other = "~/.config/containers/registries.conf: credential-helpers: docker-credential-other";
    assert_eq!(sources("ghcr.io", None), [store, other]);
    let entry = "~/run/containers/auth.json: auths \"ghcr.io/team\"";
    assert_eq!(sources("ghcr.io", Some("team/app")), [store, other, entry]);
    assert_eq!(sources("quay.io", None), [store, "~/.docker/config.json: auths \"quay.io\"", other]);
    assert!(!ran.exists());
}

/// The list of `registries.conf` says what is asked besides docker's file, and when the files of credentials are.
#[tokio::test]
async fn the_list_of_containers_helpers_is_obeyed() {
    let found_by = |user: &str| format!(r#"cat >/dev/null; echo '{{"Username":"{user}","Secret":"p"}}'"#);
    let nothing = "echo credentials not found in native keychain; exit 1".to_owned();
    let listed = "~/.config/containers/registries.conf: credential-helpers: docker-credential";
    let cases = [
        (r#"["scripted", "containers-auth.json"]"#, found_by("one"), format!("one, {listed}-scripted")),
        (r#"["scripted", "containers-auth.json"]"#, nothing.clone(), "file, ~/run/containers/auth.json: auths \"ghcr.io\"".into()),
        (r#"["containers-auth.json", "scripted"]"#, found_by("one"), "file, ~/run/containers/auth.json: auths \"ghcr.io\"".into()),
        (r#"["scripted", "other"]"#, nothing.clone(), format!("two, {listed}-other")),
        // Files that are not listed are not read.
        (r#"["scripted"]"#, nothing.clone(), "nobody".into()),
        ("[]", nothing.clone(), "file, ~/run/containers/auth.json: auths \"ghcr.io\"".into()),
        (
            r#"["a/b"]"#,
            nothing.clone(),
            "Config ~/.config/containers/registries.conf:1: credential helper \"a/b\": a name is 1 to 64 of A-Z a-z 0-9 _ -".into(),
        ),
        // A helper that fails is the end.
        (
            r#"["scripted", "containers-auth.json"]"#,
            "exit 3".into(),
            "Credentials ~/.config/containers/registries.conf: ghcr.io: credential helper docker-credential-scripted: \
             ended with exit status: 3".into(),
        ),
    ];
    for (list, scripted, expected) in cases {
        let home = Home::new()
            .with_user(SESSION, "ghcr.io", "file")
            .with(CONF, &format!("credential-helpers = {list}\n[[registry]]\nlocation = \"x\"\n"));
        let chain = home.chain(&[("SCRIPTED", &scripted), ("OTHER", &found_by("two"))]);
        assert_eq!(found(&home, &chain, "ghcr.io").await, expected, "{list} {scripted}");
    }
}

/// The list is found where the rest of the configuration is: drop-ins overrule in the order of their names, other files are
/// no configuration. Which files there are is shown in `configuration.rs`.
#[tokio::test]
async fn drop_ins_overrule_what_comes_before() {
    let drop_in = |name: &str| format!(".config/containers/registries.conf.d/{name}");
    let home = Home::new()
        .with(CONF, r#"credential-helpers = ["unknown"]"#)
        .with(&drop_in("20.conf"), r#"credential-helpers = ["scripted"]"#)
        .with(&drop_in("10.conf"), r#"credential-helpers = ["other"]"#)
        .with(&drop_in("30.conf"), "unqualified-search-registries = []\n")
        .with(&drop_in("40.toml"), r#"credential-helpers = ["unknown"]"#);
    fs::create_dir(home.path(&drop_in("50.conf"))).unwrap();
    let chain = home.chain(&[("SCRIPTED", r#"echo '{"Username":"me","Secret":"p"}'"#)]);
    let expected = "me, ~/.config/containers/registries.conf.d/20.conf: credential-helpers: docker-credential-scripted";
    assert_eq!(found(&home, &chain, "ghcr.io").await, expected);
}

/// Where a configuration is given, its list holds and not the environment's; it is read once, as all of it is.
#[tokio::test]
async fn the_list_is_that_of_the_configuration() {
    let home = Home::new()
        .with(CONF, r#"credential-helpers = ["unknown"]"#)
        .with("mine.conf", r#"credential-helpers = ["scripted"]"#)
        .with_user(SESSION, "ghcr.io", "file");
    let says = [("SCRIPTED", r#"echo '{"Username":"me","Secret":"p"}'"#)];
    let none = home.chain(&says).with_configuration(Configuration::default());
    assert_eq!(found(&home, &none, "ghcr.io").await, "file, ~/run/containers/auth.json: auths \"ghcr.io\"");
    let mine = Configuration::default().registries_conf(home.path("mine.conf"));
    let chain = home.chain(&says).with_configuration(mine);
    let expected = "me, ~/mine.conf: credential-helpers: docker-credential-scripted";
    assert_eq!(found(&home, &chain, "ghcr.io").await, expected);
    fs::remove_file(home.path("mine.conf")).unwrap();
    assert_eq!(found(&home, &chain, "ghcr.io").await, expected);
}

/// Who knows repositories apart is asked about each; the rest is asked by host, so that a helper runs once.
#[tokio::test]
async fn only_hosts_with_keys_for_repositories_are_asked_by_repository() {
    let home = Home::new().with_user(SESSION, "ghcr.io/team", "team").with_user(DOCKER, "quay.io", "q");
    let chain = home.chain(&[]);
    assert!(chain.by_repository(&"ghcr.io".parse().unwrap()));
    for host in ["quay.io", "ghcr.io:443", "docker.io"] {
        assert!(!chain.by_repository(&host.parse().unwrap()), "{host}");
    }
    let given = home.chain(&[]).with_credential("ghcr.io".parse().unwrap(), Credential::basic("me", "p"));
    assert!(!given.by_repository(&"ghcr.io".parse().unwrap()));
    // What is written later is found when the next credential is asked for.
    let home = home.with_user(DOCKER, "quay.io/team", "t");
    chain.credential(&"quay.io".parse().unwrap(), None).await.unwrap();
    assert!(chain.by_repository(&"quay.io".parse().unwrap()));
    assert!(Path::new(&home.path(DOCKER)).exists());
}
