//! Registries that may be spoken to with TLS or without, on a road that is closed at times.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use gantri::remote::{Connection, Dial, Resolve};
use gantri::{Client, Credential, ExaminedStep, Limits, Location};
use test_support::fault::{Certificates, FaultProxy};
use test_support::{Image, Reply, ScriptedServer};

use super::*;

const NAME: &str = "registry.test";

/// Where the name and each of its ports lead.
#[derive(Clone, Debug, Default)]
struct Road(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    has_address: bool,
    ports: Vec<(u16, SocketAddr)>,
}

impl Road {
    fn leads(&self, ports: &[(u16, SocketAddr)]) {
        *self.0.lock().unwrap() = Plan { has_address: true, ports: ports.to_vec() };
    }

    fn has_no_address(&self) {
        self.0.lock().unwrap().has_address = false;
    }
}

#[async_trait]
impl Resolve for Road {
    async fn addresses(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        let has_address = self.0.lock().unwrap().has_address;
        if has_address { Ok(vec![[93, 184, 215, 14].into()]) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

#[async_trait]
impl Dial for Road {
    async fn dial(&self, to: SocketAddr) -> io::Result<Box<dyn Connection>> {
        let ports = self.0.lock().unwrap().ports.clone();
        let to = ports.iter().find_map(|(port, leads)| (*port == to.port()).then_some(*leads));
        let stream = tokio::net::TcpStream::connect(to.ok_or(io::ErrorKind::ConnectionRefused)?).await?;
        Ok(Box::new(stream))
    }
}

/// Whoever is allowed http at the name, on this road.
fn client(road: &Road) -> (TempDir, Client) {
    client_of(road, "[[registry]]\nlocation = \"registry.test\"\ninsecure = true\n")
}

fn client_of(road: &Road, registries_conf: &str) -> (TempDir, Client) {
    let dir = dir(&[("registries.conf", registries_conf)]);
    let mut limits = Limits::default();
    limits.request_tries = 1;
    let client = Client::builder()
        .configuration(Configuration::default().registries_conf(dir.path().join("registries.conf")))
        .limits(limits)
        .resolver(Arc::new(road.clone()))
        .dialer(Arc::new(road.clone()));
    (dir, client.build().unwrap())
}

fn registry() -> ScriptedServer {
    Image::of(&[])
        .serve(|image, request| Some(if request.target == "/v2/" { Reply::ok("{}") } else { image.answer(request) }))
}

/// A13: nobody there at first is no word about http. The registry that starts, or whose name is found, speaks TLS.
#[tokio::test]
async fn who_is_not_there_for_a_moment_is_not_spoken_to_without_tls_from_then_on() {
    let server = registry();
    let secure = FaultProxy::before(server.address()).tls(Arc::new(Certificates::new(&[NAME]))).start();
    let image: Location = format!("{NAME}/app:v1").parse().unwrap();
    let nobody: [fn(&Road); 2] = [|road| road.leads(&[]), Road::has_no_address];
    for close in nobody {
        let road = Road::default();
        let (_dir, client) = client(&road);
        close(&road);
        assert_eq!(client.manifest(&image).await.unwrap_err().kind(), ErrorKind::Connect);
        road.leads(&[(443, secure.address()), (80, secure.address())]);
        client.manifest(&image).await.unwrap();
    }
}

/// A host without a port has two where http is allowed, and the way that answers is the one that is told of.
#[tokio::test]
async fn both_ports_are_examined() {
    let (server, road) = (registry(), Road::default());
    let (_dir, client) = client(&road);
    let reference = reference("registry.test/app:v1");
    let stop = Configuration::default().target(&reference).unwrap();
    let insecure = |value| {
        let mut stop = stop.clone();
        stop.endpoint.scheme.value = if value { Scheme::Either } else { Scheme::Https };
        stop.endpoint.skip_verify.value = value;
        stop
    };
    let secure = FaultProxy::before(server.address()).tls(Arc::new(Certificates::new(&[NAME]))).start();
    let cases = [
        (true, vec![(80, server.address())], "connect 93.184.215.14:80, tls not spoken"),
        (
            true,
            vec![(443, secure.address())],
            "connect 93.184.215.14:443, tls spoken, the certificate is not looked at",
        ),
        (true, vec![], "connect FAILED connect to 93.184.215.14:80"),
        (false, vec![(80, server.address())], "connect FAILED connect to 93.184.215.14:443"),
    ];
    for (value, ports, expected) in cases {
        road.leads(&ports);
        let steps = client.examine(&insecure(value), &reference).await;
        let told = |step: ExaminedStep| {
            let examined = steps.iter().find(|examined| examined.step == step)?;
            let words = examined.outcome.as_ref().map_or_else(|error| format!("FAILED {error}"), String::clone);
            Some(format!("{} {words}", step.name()))
        };
        assert_eq!(told(ExaminedStep::Name).unwrap(), "name 93.184.215.14");
        let shown: Vec<String> = [ExaminedStep::Connect, ExaminedStep::Tls].into_iter().filter_map(told).collect();
        assert_eq!(shown.join(", "), expected);
    }
}

/// Http is chosen where it is spoken, once: then the other way is not tried again.
#[tokio::test]
async fn http_is_spoken_where_only_http_is() {
    let (server, road) = (registry(), Road::default());
    let (_dir, client) = client(&road);
    road.leads(&[(80, server.address())]);
    for tag in ["v1", "v2"] {
        client.manifest(&format!("{NAME}/app:{tag}").parse().unwrap()).await.unwrap();
    }
    let asked: Vec<String> = server.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(asked, ["/v2/", "/v2/app/manifests/v1", "/v2/app/manifests/v2"]);
}

/// A13: a port for TLS answers http too, that it is one. That is no word for http, and not what is wrong.
#[tokio::test]
async fn a_port_for_tls_is_not_spoken_to_without_it() {
    let (server, road) = (registry(), Road::default());
    let (_dir, client) = client(&road);
    let reference = reference("registry.test/app:v1");
    let image = Location::from(reference.clone());
    let unable = ScriptedServer::start(|_| Reply::new(400));
    road.leads(&[(443, unable.address()), (80, unable.address())]);
    assert_eq!(client.manifest(&image).await.unwrap_err().kind(), ErrorKind::Connect);
    let mut stop = Configuration::default().target(&reference).unwrap();
    stop.endpoint.scheme.value = Scheme::Either;
    let steps = client.examine(&stop, &reference).await;
    let last = steps.last().unwrap();
    assert!(last.step == ExaminedStep::Tls && last.outcome.is_err(), "{steps:?}");
    let secure = FaultProxy::before(server.address()).tls(Arc::new(Certificates::new(&[NAME]))).start();
    road.leads(&[(443, secure.address()), (80, secure.address())]);
    client.manifest(&image).await.unwrap();
}

/// Many who come while nobody is there find that out together, and not one after the other.
#[tokio::test]
async fn a_probe_that_finds_nobody_serves_all_who_waited() {
    let road = Road::default();
    let (_dir, client) = client(&road);
    let unable = ScriptedServer::start(|_| Reply::new(400));
    road.leads(&[(80, unable.address())]);
    let image: Location = format!("{NAME}/app:v1").parse().unwrap();
    let answers = futures_util::future::join_all((0..8).map(|_| client.manifest(&image))).await;
    assert!(answers.iter().all(Result::is_err));
    assert_eq!(unable.requests().len(), 1);
}

/// A13: a host that stands in for another may be one whose certificate is not looked at; the other is not.
#[tokio::test]
async fn a_password_is_not_tried_by_leave_of_another_host() {
    let server = ScriptedServer::start(|request| match request.header("authorization") {
        Some(_) => Reply::ok("{}"),
        None => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
    });
    let secure = FaultProxy::before(server.address()).tls(Arc::new(Certificates::new(&[NAME]))).start();
    for (location, is_tried) in [("registry.test", true), ("mirror.test", false)] {
        let conf = format!("[[registry]]\nprefix = \"registry.test\"\nlocation = \"{location}\"\ninsecure = true\n");
        let road = Road::default();
        let (_dir, client) = client_of(&road, &conf);
        road.leads(&[(443, secure.address())]);
        let checked = client.login_check(&NAME.parse().unwrap(), Credential::basic("me", "typed")).await;
        assert_eq!(checked.is_ok(), is_tried, "{checked:?}");
    }
    let told = server.requests().iter().filter(|request| request.header("authorization").is_some()).count();
    assert_eq!(told, 1);
}
