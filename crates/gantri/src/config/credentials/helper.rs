//! Docker credential helpers: programs `docker-credential-NAME` that are asked on standard input and answer in JSON.
//!
//! A helper is a plain name, found in the absolute directories of the search path and nowhere else, and run without a shell
//! (A14). Its time and its answer are bounded, and what it says beside an answer is shown to nobody (A16).

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use gantri_core::{Error, ErrorKind, Limits, Result};
use gantri_remote::{Credential, Secret};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use super::SECRET_VARIABLES;
use crate::config::environment::Environment;

/// What a helper's name may be at most.
const NAME: usize = 64;
/// The helpers' common words for "I have nothing for this server".
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user that stands for an identity token.
pub(super) const TOKEN_USER: &str = "<token>";

/// A helper that has a name which can only be a program on the search path (A14).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Helper {
    program: String,
}

/// What helpers are run in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bench<'a> {
    pub(super) environment: &'a Environment,
    pub(super) limits: &'a Limits,
}

/// What a helper is told to do.
#[derive(Clone, Copy, Debug)]
enum Verb {
    Get,
    Store,
    Erase,
}

impl Helper {
    /// The helper called `name`.
    pub(super) fn new(name: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let fits = (1..=NAME).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(plain);
        if !fits {
            let shown: String = name.chars().take(NAME).collect();
            return Err(Error::new(
                ErrorKind::Config,
                format!("credential helper {shown:?}: a name is 1 to {NAME} of A-Z a-z 0-9 _ -"),
            ));
        }
        Ok(Self { program: format!("docker-credential-{name}") })
    }

    /// The program's name.
    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// What the helper has for `server`; `None` if it says that it has nothing.
    ///
    /// # Errors
    /// `Credentials` if it cannot be run, fails, takes too long, or answers what is no answer.
    pub(super) async fn get(&self, server: &str, bench: Bench<'_>) -> Result<Option<Credential>> {
        let answer = self.ask(Verb::Get, server.as_bytes(), bench).await?;
        self.understand(&answer).map_err(|error| {
            // What it said is not ours to show, and whoever runs it himself sees it.
            let hint = format!("`echo {server} | {} get` shows what it says", self.program);
            if answer.status.success() { error } else { error.with_hint(hint) }
        })
    }

    /// Gives the helper a credential to keep for `server`.
    ///
    /// # Errors
    /// `Credentials` if it cannot be run, fails or takes too long; `Unsupported` for what no helper can keep.
    pub(super) async fn store(&self, server: &str, credential: &Credential, bench: Bench<'_>) -> Result<()> {
        let (username, secret) = match credential {
            Credential::Basic { username, password } => (username.as_str(), password.expose()),
            Credential::IdentityToken(token) => (TOKEN_USER, token.expose()),
            _ => return Err(self.failed(ErrorKind::Unsupported, "keeps passwords and identity tokens only")),
        };
        let told = serde_json::to_vec(&Told { server_url: server, username, secret }).map(Zeroizing::new);
        let told = told.map_err(|_| self.failed(ErrorKind::Credentials, "the credential is no text"))?;
        self.succeeded(&self.ask(Verb::Store, &told, bench).await?)
    }

    /// Makes the helper forget what it has for `server`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(super) async fn erase(&self, server: &str, bench: Bench<'_>) -> Result<()> {
        self.succeeded(&self.ask(Verb::Erase, server.as_bytes(), bench).await?)
    }

    async fn ask(&self, verb: Verb, question: &[u8], bench: Bench<'_>) -> Result<Answer> {
        let child = self.start(verb, bench.environment)?;
        let (time, most) = (bench.limits.credential_helper, bench.limits.credential);
        // Whoever has run out of time is killed when its handle is dropped.
        let answer = tokio::time::timeout(time, converse(child, question, most)).await;
        let answer = answer.map_err(|_| {
            let what = format!("no answer within {time:?} (limit credential_helper)");
            self.failed(ErrorKind::Credentials, &what)
        })?;
        answer.map_err(|error| self.failed(ErrorKind::Credentials, "no answer").with_source(error))
    }

    fn start(&self, verb: Verb, environment: &Environment) -> Result<Child> {
        let path = self.find(environment).ok_or_else(|| {
            self.failed(ErrorKind::Credentials, "is not on the search path")
                .with_hint(format!("install {}, or remove its name from the file", self.program))
        })?;
        let mut command = Command::new(path);
        environment.hand_to(&mut command, &SECRET_VARIABLES);
        command
            .arg(verb.word())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.failed(ErrorKind::Credentials, "can't be run").with_source(error))
    }

    /// The program in the first directory of the search path that has it. A directory that depends on where we are is not
    /// looked into: whoever wrote what lies in the working directory is not whom secrets are for.
    fn find(&self, environment: &Environment) -> Option<PathBuf> {
        let path = environment.value("PATH")?;
        let runs = |file: &PathBuf| {
            std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        let dirs = std::env::split_paths(&path).filter(|dir| dir.is_absolute());
        dirs.map(|dir| dir.join(&self.program)).find(runs)
    }

    fn understand(&self, answer: &Answer) -> Result<Option<Credential>> {
        if answer.says_none() {
            return Ok(None);
        }
        self.succeeded(answer)?;
        let Found { username, secret } = serde_json::from_slice(&answer.output)
            // The parser's message could quote the answer, and the answer holds a secret (A16).
            .map_err(|_| self.failed(ErrorKind::Credentials, "the answer is no credential"))?;
        let secret = Secret::new(secret.as_str());
        Ok(match username.as_str() {
            "" if secret.expose().is_empty() => None,
            TOKEN_USER => Some(Credential::IdentityToken(secret)),
            _ => Some(Credential::Basic { username, password: secret }),
        })
    }

    /// What else a helper that failed has said is not shown: nobody knows what that holds (A16).
    fn succeeded(&self, answer: &Answer) -> Result<()> {
        let Answer { status, .. } = answer;
        if status.success() {
            Ok(())
        } else {
            Err(self.failed(ErrorKind::Credentials, &format!("ended with {status}")))
        }
    }

    fn failed(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("credential helper {}: {what}", self.program))
    }
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Store => "store",
            Self::Erase => "erase",
        }
    }
}

struct Answer {
    status: ExitStatus,
    output: Zeroizing<Vec<u8>>,
}

impl Answer {
    fn says_none(&self) -> bool {
        !self.status.success() && String::from_utf8_lossy(&self.output).trim() == NOT_FOUND
    }
}

async fn converse(mut child: Child, question: &[u8], most: u64) -> std::io::Result<Answer> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let tell = async {
        if let Some(mut stdin) = stdin {
            // A helper may end before it has read the question; its exit says more than the broken pipe.
            let _ = stdin.write_all(question).await;
        }
    };
    let mut output = Zeroizing::new(Vec::new());
    let listen = async {
        if let Some(stdout) = stdout {
            stdout.take(most + 1).read_to_end(&mut output).await?;
        }
        if output.len() as u64 > most {
            return Err(std::io::Error::other(format!("more than {most} bytes (limit credential)")));
        }
        Ok(())
    };
    let ((), listened) = tokio::join!(tell, listen);
    listened?;
    Ok(Answer { status: child.wait().await?, output })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    username: String,
    secret: Zeroizing<String>,
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    #[serde(rename = "Username")]
    username: &'a str,
    #[serde(rename = "Secret")]
    secret: &'a str,
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn a_helper_is_a_plain_name_or_an_error() {
        let long = "x".repeat(4096);
        for suffix in ["../x", "a/b", "", "\0", "-x", "a b", "ä", long.as_str()] {
            assert_eq!(Helper::new(suffix).unwrap_err().kind(), ErrorKind::Config, "{suffix:?}");
        }
        for suffix in ["osxkeychain", "ecr-login", "gcloud", "x_1"] {
            assert_eq!(Helper::new(suffix).unwrap().program(), format!("docker-credential-{suffix}"));
        }
    }

    #[test]
    fn answers_are_credentials_none_or_errors_without_the_answer() {
        let helper = Helper::new("x").unwrap();
        let answer = |code, text: &str| Answer {
            status: ExitStatus::from_raw(code << 8),
            output: Zeroizing::new(text.as_bytes().to_vec()),
        };
        let understood = |code, text: &str| match helper.understand(&answer(code, text)) {
            Ok(None) => "none".to_owned(),
            Ok(Some(Credential::Basic { username, password })) => format!("{username}:{}", password.expose()),
            Ok(Some(Credential::IdentityToken(token))) => format!("token {}", token.expose()),
            Ok(Some(other)) => format!("{other:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(understood(0, r#"{"ServerURL":"s","Username":"u","Secret":"p"}"#), "u:p");
        assert_eq!(understood(0, r#"{"Username":"<token>","Secret":"t"}"#), "token t");
        assert_eq!(understood(1, "credentials not found in native keychain\n"), "none");
        assert_eq!(understood(1, "hunter2"), "credential helper docker-credential-x: ended with exit status: 1");
        assert_eq!(understood(0, "hunter2"), "credential helper docker-credential-x: the answer is no credential");
    }
}
