//! How registries are reached, beyond their names.

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use gantri::ClientBuilder;
use gantri::spec::Host;

/// What stands in for what the network says.
#[derive(Args, Debug)]
pub(crate) struct NetworkArgs {
    /// Take HOST to be at ADDRESS where it is reached at PORT; may be given again
    #[arg(long, global = true, value_name = "HOST:PORT:ADDRESS", value_parser = pin)]
    resolve: Vec<Pin>,
}

/// A name, and where it is taken to be.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Pin {
    host: Host,
    to: SocketAddr,
}

impl NetworkArgs {
    /// The client, told of it.
    pub(crate) fn tell(&self, client: ClientBuilder) -> ClientBuilder {
        self.resolve.iter().fold(client, |client, pin| client.resolve_to(pin.host.clone(), pin.to))
    }
}

/// As curl has it: an IPv6 address may stand in brackets.
fn pin(text: &str) -> Result<Pin, String> {
    let read = || {
        let (host, rest) = text.split_once(':')?;
        let (port, address) = rest.split_once(':')?;
        let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        let host = format!("{host}:{port}").parse().ok()?;
        Some(Pin { host, to: SocketAddr::new(address, port.parse().ok()?) })
    };
    read().ok_or_else(|| "no HOST:PORT:ADDRESS, like registry.example:443:10.0.0.7".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_a_name_a_port_and_an_address() {
        let cases = [
            ("registry.test:443:10.0.0.7", Some(("registry.test:443", "10.0.0.7:443"))),
            ("registry.test:5000:::1", Some(("registry.test:5000", "[::1]:5000"))),
            ("registry.test:5000:[fd00::1]", Some(("registry.test:5000", "[fd00::1]:5000"))),
            ("registry.test:443", None),
            ("registry.test:10.0.0.7", None),
            ("registry.test:443:elsewhere.test", None),
            ("registry.test:port:10.0.0.7", None),
            (":443:10.0.0.7", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(host, to)| Pin { host: host.parse().unwrap(), to: to.parse().unwrap() });
            assert_eq!(pin(text).ok(), expected, "{text}");
        }
    }
}
