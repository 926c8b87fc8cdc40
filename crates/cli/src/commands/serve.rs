//! `serve`: a registry over HTTP until it is told to stop.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use gantri::core::filter::{Immutable, ReadOnly};
use gantri::server::access::{Basic, Permissions, Tokens, Users};
use gantri::server::{Server, ServerOptions};
use gantri::{Error, ErrorKind, Layout, Memory, MissingChildren, Registry};

use crate::args::{Auth, ServeArgs};
use crate::context::usage;
use crate::failure::Failure;
use crate::output;
use crate::signal::Interrupt;

/// Serves memory, or the directory, and prints the URL once it answers.
pub(crate) async fn run(args: ServeArgs, mut interrupt: Interrupt) -> Result<(), Failure> {
    let address = address(&args)?;
    let options = options(&args, address)?;
    let missing = if args.policy.allow_missing { MissingChildren::Allowed } else { MissingChildren::Refused };
    let registry: Arc<dyn Registry> = match &args.dir {
        Some(dir) => {
            let tree = Layout::tree(dir).await.map_err(|error| serving(dir, error))?;
            Arc::new(tree.with_missing_children(missing))
        }
        None => Arc::new(Memory::new().with_missing_children(missing)),
    };
    let server = Server::bind(address, guarded(&args, registry), options).await?;
    output::line(&server.url()).await?;
    let stop = async move {
        interrupt.cause().await;
    };
    Ok(server.run(stop).await?)
}

/// The registry with what may not be done to it.
fn guarded(args: &ServeArgs, registry: Arc<dyn Registry>) -> Arc<dyn Registry> {
    if args.policy.read_only {
        Arc::new(ReadOnly::new(registry))
    } else if args.policy.immutable_tags {
        Arc::new(Immutable::new(registry))
    } else {
        registry
    }
}

/// Where to listen: what other machines reach is not served to just anybody by accident (R10).
fn address(args: &ServeArgs) -> Result<SocketAddr, Failure> {
    let listen = &args.listen;
    let address: SocketAddr = listen
        .parse()
        .map_err(|_| usage(format!("--listen {listen:?}: an address and a port are wanted, such as 127.0.0.1:5000")))?;
    if address.ip().is_loopback() || args.htpasswd.is_some() || args.allow_anonymous_remote {
        return Ok(address);
    }
    let what = format!("--listen {listen}: other machines could read and write without a password");
    let error = Error::new(ErrorKind::Config, what);
    Err(Failure::Usage(error.with_hint("give --htpasswd FILE, or --allow-anonymous-remote if that is what you want")))
}

fn options(args: &ServeArgs, address: SocketAddr) -> Result<ServerOptions, Failure> {
    let mut options = ServerOptions::default();
    if let Some(url) = &args.url {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(usage(format!("--url {url:?}: it begins with http:// or https://")));
        }
        options = options.with_url(url);
    }
    let Some(file) = &args.htpasswd else { return Ok(options) };
    let users = users(file).map_err(|error| error.during(format_args!("read {}", file.display())))?;
    Ok(match args.auth {
        Auth::Basic => options.with_access(Basic::new(users, Permissions::users())),
        Auth::Token if address.ip().is_unspecified() && args.url.is_none() => {
            return Err(usage(
                "--auth token: --url has to say where clients get tokens, for they can't reach every address",
            ));
        }
        Auth::Token => options.with_access(Tokens::new(users, Permissions::users())?),
    })
}

fn users(file: &Path) -> gantri::Result<Users> {
    let mut text = String::new();
    let read = File::open(file).and_then(|file| file.take(HTPASSWD + 1).read_to_string(&mut text));
    let read = read.map_err(|error| Error::io("htpasswd file", error))?;
    if read as u64 > HTPASSWD {
        return Err(Error::limit("htpasswd file", "bytes", HTPASSWD));
    }
    Users::parse(&text)
}

fn serving(dir: &Path, error: Error) -> Failure {
    let hint = match error.kind() {
        ErrorKind::Conflict => "serve the directory above it: each image layout below that is a repository",
        _ => "name a directory that can be read and written, or none to serve from memory",
    };
    error.during(format_args!("serve {}", dir.display())).with_hint(hint).into()
}

/// Bytes of an htpasswd file: some ten thousand users.
const HTPASSWD: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    /// R10.
    #[test]
    fn what_other_machines_reach_is_served_to_everybody_only_when_that_is_said() {
        let table: [(&[&str], bool); 9] = [
            (&[], true),
            (&["--listen", "127.0.0.1:0"], true),
            (&["--listen", "127.9.9.9:0"], true),
            (&["--listen", "[::1]:0"], true),
            (&["--listen", "0.0.0.0:5000"], false),
            (&["--listen", "[::]:5000"], false),
            (&["--listen", "192.168.1.1:5000"], false),
            (&["--listen", "0.0.0.0:5000", "--htpasswd", "users"], true),
            (&["--listen", "0.0.0.0:5000", "--allow-anonymous-remote"], true),
        ];
        for (words, is_allowed) in table {
            let cli = Cli::try_parse_from(["gantri", "serve"].iter().chain(words)).unwrap();
            let Command::Serve(args) = cli.command else { panic!("{words:?}") };
            assert_eq!(address(&args).is_ok(), is_allowed, "{words:?}");
        }
    }
}
