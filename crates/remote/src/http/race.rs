//! Many addresses, one connection (H22): they are tried in the resolver's order, IPv6 and IPv4 by turns, the next one as
//! soon as one has failed or has kept silent for a moment. The first that answers is taken (RFC 8305, in short).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::dial::{Connection, Dial};

/// How long an address may keep silent before the next one is tried as well: what RFC 8305 recommends.
const HEAD_START: Duration = Duration::from_millis(250);

/// A connection to one of these addresses, and to which. Waits as long as one of them may still answer.
pub(super) async fn race(
    dialer: &dyn Dial,
    addresses: Vec<SocketAddr>,
) -> Result<(SocketAddr, Box<dyn Connection>), Unreachable> {
    let mut waiting = by_turns(addresses).into_iter();
    let mut dialling = FuturesUnordered::new();
    let mut failed = Vec::new();
    loop {
        match waiting.next() {
            Some(to) => dialling.push(async move { (to, dialer.dial(to).await) }),
            None if dialling.is_empty() => return Err(Unreachable(failed)),
            None => (),
        }
        tokio::select! {
            biased;
            Some((to, outcome)) = dialling.next() => match outcome {
                Ok(connection) => return Ok((to, connection)),
                Err(error) => failed.push((to, error)),
            },
            () = tokio::time::sleep(HEAD_START), if waiting.len() > 0 => (),
        }
    }
}

/// The families by turns, the first address's first, so that a family that leads nowhere costs one head start.
fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::new();
    loop {
        let before = turns.len();
        turns.extend(first.next());
        turns.extend(second.next());
        if turns.len() == before {
            return turns;
        }
    }
}

/// No address could be connected to: what each of them said.
#[derive(Debug)]
pub(super) struct Unreachable(Vec<(SocketAddr, io::Error)>);

impl Unreachable {
    /// Whether nobody listens on any of them.
    pub(super) fn is_refused(&self) -> bool {
        self.0.iter().all(|(_, error)| error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// Whether one of them might have answered, with more time.
    pub(super) fn is_timeout(&self) -> bool {
        self.0.iter().any(|(_, error)| error.kind() == io::ErrorKind::TimedOut)
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        for (at, (address, error)) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{address}: {error}", if at == 0 { "" } else { "; " })?;
        }
        match self.0.len().checked_sub(SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Unreachable {}

#[cfg(test)]
mod tests;
