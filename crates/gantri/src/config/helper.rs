//! Docker credential helpers: programs `docker-credential-SUFFIX` that are asked on standard input and answer in JSON.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use gantri_core::{Error, ErrorKind, Result};
use gantri_remote::{Credential, Secret};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

/// Time that a helper may take; it may ask the user.
const TIME: Duration = Duration::from_secs(30);
/// Bytes that a helper may answer.
const ANSWER: u64 = 64 * 1024;
/// What a helper's name may be at most.
const SUFFIX: usize = 64;
/// The helpers' common words for "I have nothing for this server".
const NOT_FOUND: &str = "credentials not found in native keychain";

/// A helper that has a name which can only be a program on the search path (A14).
#[derive(Debug)]
pub(super) struct Helper {
    program: String,
}

impl Helper {
    /// The helper called `suffix`.
    pub(super) fn new(suffix: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let fits = (1..=SUFFIX).contains(&suffix.len()) && !suffix.starts_with('-') && suffix.bytes().all(plain);
        if !fits {
            let shown: String = suffix.chars().take(SUFFIX).collect();
            return Err(Error::new(
                ErrorKind::Config,
                format!("credential helper {shown:?}: a name is 1 to {SUFFIX} of A-Z a-z 0-9 _ -"),
            ));
        }
        Ok(Self { program: format!("docker-credential-{suffix}") })
    }

    /// What the helper has for `server`; `None` if it says that it has nothing.
    ///
    /// # Errors
    /// `Credentials` if it cannot be run, fails, takes too long, or answers what is no answer.
    pub(super) async fn get(&self, server: &str) -> Result<Option<Credential>> {
        let child = self.start()?;
        match tokio::time::timeout(TIME, converse(child, server)).await {
            Ok(answer) => self.understand(&answer.map_err(|error| self.failed("no answer").with_source(error))?),
            Err(_) => Err(self.failed(&format!("no answer within {} s", TIME.as_secs()))),
        }
    }

    fn start(&self) -> Result<Child> {
        Command::new(&self.program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                self.failed("can't be run")
                    .with_source(error)
                    .with_hint(format!("install {}, or remove it from docker's config.json", self.program))
            })
    }

    fn understand(&self, answer: &Answer) -> Result<Option<Credential>> {
        let Answer { status, output } = answer;
        if !status.success() {
            let said_none = String::from_utf8_lossy(output).trim() == NOT_FOUND;
            // What else it said is not shown: nobody knows what that holds (A16).
            return if said_none { Ok(None) } else { Err(self.failed(&format!("ended with {status}"))) };
        }
        let Found { username, secret } = serde_json::from_slice(output)
            // The parser's message could quote the answer, and the answer holds a secret (A16).
            .map_err(|_| self.failed("the answer is no credential"))?;
        Ok(Some(match username.as_str() {
            "" if secret.is_empty() => return Ok(None),
            "<token>" => Credential::IdentityToken(Secret::new(secret)),
            _ => Credential::Basic { username, password: Secret::new(secret) },
        }))
    }

    fn failed(&self, what: &str) -> Error {
        Error::new(ErrorKind::Credentials, format!("credential helper {}: {what}", self.program))
    }
}

struct Answer {
    status: ExitStatus,
    output: Zeroizing<Vec<u8>>,
}

async fn converse(mut child: Child, server: &str) -> std::io::Result<Answer> {
    if let Some(mut stdin) = child.stdin.take() {
        // A helper may end before it has read the question; its exit says more than the broken pipe.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let mut output = Zeroizing::new(Vec::new());
    if let Some(stdout) = child.stdout.take() {
        stdout.take(ANSWER + 1).read_to_end(&mut output).await?;
    }
    if output.len() as u64 > ANSWER {
        return Err(std::io::Error::other(format!("more than {ANSWER} bytes")));
    }
    Ok(Answer { status: child.wait().await?, output })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    username: String,
    secret: String,
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
            assert_eq!(Helper::new(suffix).unwrap().program, format!("docker-credential-{suffix}"));
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
