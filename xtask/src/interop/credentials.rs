//! Our command beside skopeo on the same files of credentials: the same user comes to the registry.
//!
//! Docker's file and containers' are asked in another order by us (see the README), so no case has a user in both.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::stage::Stage;
use super::{Check, check};
use crate::tool::{Result, command};

const SESSION: &str = "run/containers/auth.json";
const USER: &str = ".config/containers/auth.json";
const DOCKER: &str = ".docker/config.json";
const CONF: &str = ".config/containers/registries.conf";

/// What skopeo says when it knows no user: an empty name with an empty password.
const NOBODY: &str = "Basic Og==";

/// What lies in a home, which repository is asked for there, and who should come.
struct Case {
    name: &'static str,
    /// Files, in which `$HOST` is the registry and `$USER(x)` is an entry of `auths` for the user `x`.
    files: &'static [(&'static str, &'static str)],
    /// Variables, in which `$HOME` is the home.
    variables: &'static [(&'static str, &'static str)],
    repository: &'static str,
    /// `None` is nobody.
    user: Option<&'static str>,
}

const fn case(
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    repository: &'static str,
    user: Option<&'static str>,
) -> Case {
    Case { name, files, variables: &[], repository, user }
}

const PATHS: &str = r#"{"auths": {"$HOST/foo/bar/image": $USER(image), "$HOST/foo": $USER(foo), "$HOST": $USER(all)}}"#;

const CASES: &[Case] = &[
    case("a host", &[(SESSION, r#"{"auths": {"$HOST": $USER(a)}}"#)], "foo", Some("a")),
    case("a repository's own key", &[(SESSION, PATHS)], "foo/bar/image", Some("image")),
    case("a namespace above it", &[(SESSION, PATHS)], "foo/bar", Some("foo")),
    case("a namespace itself", &[(SESSION, PATHS)], "foo", Some("foo")),
    case("the host's for what has no key", &[(SESSION, PATHS)], "other/image", Some("all")),
    case("a namespace is no prefix", &[(SESSION, PATHS)], "food/bar", Some("all")),
    case("below a repository's key", &[(SESSION, PATHS)], "foo/bar/image/sub", Some("image")),
    case("only a key of another repository", &[(SESSION, r#"{"auths": {"$HOST/foo": $USER(a)}}"#)], "bar", None),
    case(
        "only a key of another port",
        &[(SESSION, r#"{"auths": {"127.0.0.1:1": $USER(a), "127.0.0.1": $USER(b)}}"#)],
        "foo",
        None,
    ),
    case("only another name of the same machine", &[(SESSION, r#"{"auths": {"localhost": $USER(a)}}"#)], "foo", None),
    case("a key that is a url", &[(SESSION, r#"{"auths": {"https://$HOST/v1/": $USER(a)}}"#)], "foo", Some("a")),
    case("a key that is a url of http", &[(SESSION, r#"{"auths": {"http://$HOST": $USER(a)}}"#)], "foo", Some("a")),
    case(
        "a host before a url",
        &[(SESSION, r#"{"auths": {"https://$HOST": $USER(a), "$HOST": $USER(b)}}"#)],
        "foo",
        Some("b"),
    ),
    case("the user's file", &[(USER, r#"{"auths": {"$HOST": $USER(a)}}"#)], "foo", Some("a")),
    case(
        "the session's file before the user's",
        &[(SESSION, r#"{"auths": {"$HOST": $USER(a)}}"#), (USER, r#"{"auths": {"$HOST": $USER(b)}}"#)],
        "foo",
        Some("a"),
    ),
    case(
        "the session's file even with a shorter key",
        &[(SESSION, r#"{"auths": {"$HOST": $USER(a)}}"#), (USER, r#"{"auths": {"$HOST/foo": $USER(b)}}"#)],
        "foo",
        Some("a"),
    ),
    case(
        "an empty entry leaves it to the next file",
        &[(SESSION, r#"{"auths": {"$HOST": {}}}"#), (USER, r#"{"auths": {"$HOST": $USER(b)}}"#)],
        "foo",
        Some("b"),
    ),
    case(
        "an empty entry of a repository hides the host's",
        &[(SESSION, r#"{"auths": {"$HOST/foo": {}, "$HOST": $USER(a)}}"#)],
        "foo",
        None,
    ),
    case("docker's file", &[(DOCKER, r#"{"auths": {"$HOST": $USER(a)}, "psFormat": "x"}"#)], "foo", Some("a")),
    case("a repository in docker's file", &[(DOCKER, PATHS)], "foo/bar", Some("foo")),
    Case {
        variables: &[("DOCKER_CONFIG", "$HOME/docker")],
        ..case(
            "docker's file elsewhere",
            &[("docker/config.json", r#"{"auths": {"$HOST": $USER(a)}}"#)],
            "foo",
            Some("a"),
        )
    },
    Case {
        variables: &[("XDG_CONFIG_HOME", "$HOME/xdg")],
        ..case(
            "the user's file elsewhere",
            &[("xdg/containers/auth.json", r#"{"auths": {"$HOST": $USER(a)}}"#)],
            "foo",
            Some("a"),
        )
    },
    Case {
        variables: &[("REGISTRY_AUTH_FILE", "$HOME/named.json")],
        ..case(
            "a file that is named",
            &[("named.json", r#"{"auths": {"$HOST": $USER(n)}}"#), (SESSION, r#"{"auths": {"$HOST": $USER(a)}}"#)],
            "foo",
            Some("n"),
        )
    },
    Case {
        variables: &[("REGISTRY_AUTH_FILE", "$HOME/named.json")],
        ..case(
            "a file that is named stands in for the session's",
            &[
                ("named.json", "{}"),
                (SESSION, r#"{"auths": {"$HOST": $USER(a)}}"#),
                (USER, r#"{"auths": {"$HOST": $USER(b)}}"#),
            ],
            "foo",
            Some("b"),
        )
    },
    case(
        "a host's helper before its entry",
        &[(SESSION, r#"{"credHelpers": {"$HOST": "has"}, "auths": {"$HOST": $USER(a)}}"#)],
        "foo",
        Some("helper"),
    ),
    case(
        "a host's helper before a repository's entry",
        &[(SESSION, r#"{"credHelpers": {"$HOST": "has"}, "auths": {"$HOST/foo": $USER(a)}}"#)],
        "foo",
        Some("helper"),
    ),
    case(
        "a helper of registries.conf before the files",
        &[
            (CONF, r#"credential-helpers = ["has", "containers-auth.json"]"#),
            (SESSION, r#"{"auths": {"$HOST": $USER(a)}}"#),
        ],
        "foo",
        Some("helper"),
    ),
    case(
        "a helper of registries.conf that has nothing",
        &[
            (CONF, r#"credential-helpers = ["lacks", "containers-auth.json"]"#),
            (SESSION, r#"{"auths": {"$HOST": $USER(a)}}"#),
        ],
        "foo",
        Some("a"),
    ),
    case(
        "a helper of registries.conf behind the files",
        &[
            (CONF, r#"credential-helpers = ["containers-auth.json", "has"]"#),
            (SESSION, r#"{"auths": {"$HOST/foo": $USER(a)}}"#),
        ],
        "foo",
        Some("a"),
    ),
    case(
        "a helper of registries.conf for what the files lack",
        &[
            (CONF, r#"credential-helpers = ["containers-auth.json", "has"]"#),
            (SESSION, r#"{"auths": {"$HOST/foo": $USER(a)}}"#),
        ],
        "bar",
        Some("helper"),
    ),
    case(
        "no file that registries.conf does not list",
        &[(CONF, r#"credential-helpers = ["has"]"#), (SESSION, r#"{"auths": {"$HOST": $USER(a)}}"#)],
        "foo",
        Some("helper"),
    ),
    case(
        "a drop-in over registries.conf",
        &[
            (CONF, r#"credential-helpers = ["lacks"]"#),
            (".config/containers/registries.conf.d/1.conf", r#"credential-helpers = ["has"]"#),
        ],
        "foo",
        Some("helper"),
    ),
];

pub(super) fn checks() -> Vec<Check> {
    let checks = CASES.iter().map(|case| {
        check(format!("skopeo and gantri are the same user: {}", case.name), move |stage: &Stage| {
            same_user(&stage.gantri, &stage.scratch.join("credentials"), case)
        })
    });
    checks.collect()
}

/// Both ask for the tags of the repository, in the same home.
fn same_user(gantri: &Path, scratch: &Path, case: &Case) -> Result<String> {
    let registry = Registry::start()?;
    let home = scratch.join(case.name.replace(' ', "-"));
    furnish(&home, &registry.host, case)?;
    let repository = format!("{}/{}", registry.host, case.repository);
    let mut theirs = command("skopeo", ["list-tags", "--tls-verify=false", &format!("docker://{repository}")]);
    let theirs = registry.user_of(at_home(&mut theirs, &home, case))?;
    let ours = registry.user_of(at_home(&mut command(gantri, ["tags", &repository]), &home, case))?;
    let expected = case.user.map(basic);
    if theirs != expected || ours != expected {
        return Err(format!("{expected:?} is expected; skopeo is {theirs:?}, gantri is {ours:?}"));
    }
    Ok(case.user.unwrap_or("nobody").to_owned())
}

fn furnish(home: &Path, host: &str, case: &Case) -> Result {
    let written = |path: PathBuf, text: &str| {
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(&path, text)).map_err(|error| format!("write {}: {error}", path.display()))
    };
    fs::create_dir_all(home.join("run")).map_err(|error| error.to_string())?;
    for (path, text) in case.files {
        written(home.join(path), &filled(text, host))?;
    }
    let helpers = BTreeMap::from([
        ("has", r#"echo '{"ServerURL":"","Username":"helper","Secret":"p"}'"#),
        ("lacks", "echo credentials not found in native keychain; exit 1"),
    ]);
    for (name, script) in helpers {
        let path = home.join(format!("docker-credential-{name}"));
        written(path.clone(), &format!("#!/bin/sh\ncat > /dev/null\n{script}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A file with its host and its users.
fn filled(text: &str, host: &str) -> String {
    let mut parts = text.split("$USER(");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (user, rest) = part.split_once(')').unwrap_or((part, ""));
        filled.extend([r#"{"auth": ""#, &encoded(user), r#""}"#, rest]);
    }
    filled.replace("$HOST", host)
}

fn encoded(user: &str) -> String {
    STANDARD.encode(format!("{user}:p"))
}

fn basic(user: &str) -> String {
    format!("Basic {}", encoded(user))
}

fn at_home<'c>(command: &'c mut Command, home: &Path, case: &Case) -> &'c mut Command {
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", home.display());
    command.env_clear().env("HOME", home).env("XDG_RUNTIME_DIR", home.join("run")).env("PATH", path);
    for (name, value) in case.variables {
        command.env(name, value.replace("$HOME", &home.display().to_string()));
    }
    command
}

/// A registry on loopback that wants to know who asks, and takes everybody.
struct Registry {
    host: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let host = listener.local_addr().map_err(|error| error.to_string())?.to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        // It ends with this program.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&kept);
                thread::spawn(move || serve(stream, &seen));
            }
        });
        Ok(Self { host, seen })
    }

    /// Who came when this ran, as its header says; whether it did well does not matter.
    fn user_of(&self, command: &mut Command) -> Result<Option<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let output = command.output().map_err(|error| format!("run {command:?}: {error}"))?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if seen.is_empty() {
            return Err(format!("{command:?} asked nothing: {}", String::from_utf8_lossy(&output.stderr)));
        }
        seen.retain(|sent| !sent.is_empty() && sent != NOBODY);
        seen.dedup();
        match &seen[..] {
            [] => Ok(None),
            [user] => Ok(Some(user.clone())),
            _ => Err(format!("{command:?} was several: {seen:?}")),
        }
    }
}

/// Answers requests until the other side has no more; who asked is written down.
fn serve(stream: TcpStream, seen: &Mutex<Vec<String>>) {
    let Ok(mut answers) = stream.try_clone() else { return };
    let mut lines = BufReader::new(stream).lines().map_while(std::result::Result::ok);
    while let Some(request) = lines.next() {
        let headers: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let sent = headers.iter().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
        });
        let body = if request.contains("/tags/list") { r#"{"name":"x","tags":["v1"]}"# } else { "{}" };
        let head = match &sent {
            Some(_) => "200 OK".to_owned(),
            None => "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"".to_owned(),
        };
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(sent.unwrap_or_default());
        let length = body.len();
        let kind = "Content-Type: application/json";
        // Whoever has gone away misses nothing.
        let _ = write!(answers, "HTTP/1.1 {head}\r\n{kind}\r\nContent-Length: {length}\r\n\r\n{body}");
    }
}
