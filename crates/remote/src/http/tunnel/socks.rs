//! SOCKS 5 (RFC 1928), as far as a client needs it: one greeting, one password (RFC 1929), one `CONNECT`.

use std::fmt;
use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

use super::super::dial::Connection;
use super::super::proxy::Proxy;
use super::{Fault, broken};

const VERSION: u8 = 5;
const NO_ONE: u8 = 0;
const PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Has a SOCKS proxy carry everything from here on to a host and a port.
pub(super) async fn open(proxy: &Proxy, on: &mut dyn Connection, host: &str, port: u16) -> Result<(), Fault> {
    let methods: &[u8] = if proxy.user.is_some() { &[NO_ONE, PASSWORD] } else { &[NO_ONE] };
    let [version, method] = ask(on, &[&[VERSION, u8::try_from(methods.len()).unwrap_or(1)], methods].concat()).await?;
    match (version, method, &proxy.user) {
        (VERSION, NO_ONE, _) => {}
        (VERSION, PASSWORD, Some((name, password))) => {
            let login = Zeroizing::new([&[1][..], &counted(name)?, &counted(password.expose())?].concat());
            let [_, status] = ask(on, &login).await?;
            if status != 0 {
                return Err(Fault::Denied);
            }
        }
        (VERSION, NO_METHOD, _) => return Err(Fault::Denied),
        _ => return Err(broken("what it says is not SOCKS 5")),
    }
    let [version, reply, _, kind] =
        ask(on, &[&[VERSION, 1, 0], &*address(host)?, &port.to_be_bytes()].concat()).await?;
    if version != VERSION {
        return Err(broken("what it says is not SOCKS 5"));
    }
    if reply != 0 {
        return Err(Fault::Socks(Reply(reply)));
    }
    // From where it connects is of no interest.
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        _ => on.read_u8().await.map_err(broken)?.into(),
    };
    let mut bound = [0; 255 + 2];
    on.read_exact(&mut bound[..length + 2]).await.map_err(broken)?;
    Ok(())
}

async fn ask<const N: usize>(on: &mut dyn Connection, question: &[u8]) -> Result<[u8; N], Fault> {
    on.write_all(question).await.map_err(broken)?;
    on.flush().await.map_err(broken)?;
    let mut answer = [0; N];
    on.read_exact(&mut answer).await.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => broken("it hung up"),
        _ => broken(error),
    })?;
    Ok(answer)
}

fn address(host: &str) -> Result<Vec<u8>, Fault> {
    Ok(match host.parse() {
        Ok(IpAddr::V4(address)) => [&[IPV4][..], &address.octets()].concat(),
        Ok(IpAddr::V6(address)) => [&[IPV6][..], &address.octets()].concat(),
        Err(_) => [&[NAME][..], &counted(host)?].concat(),
    })
}

fn counted(text: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let length = u8::try_from(text.len()).map_err(|_| broken("SOCKS has no room for more than 255 bytes"))?;
    Ok(Zeroizing::new([&[length], text.as_bytes()].concat()))
}

/// Why a SOCKS proxy did not connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) struct Reply(u8);

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            2 => "its rules forbid the connection",
            3 => "it can't reach the network",
            4 => "it can't reach the host",
            5 => "its connection was refused",
            6 => "its connection took too long",
            7 => "it can't connect for others",
            8 => "it knows no addresses of this kind",
            _ => "it failed",
        })
    }
}

impl Reply {
    /// Whether it may be otherwise the next time.
    pub(super) fn may_pass(self) -> bool {
        !matches!(self.0, 2 | 7 | 8)
    }
}
