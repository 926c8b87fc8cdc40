//! What answers at the address, but is no registry.

use test_support::raw::refusing_host;
use test_support::{Body, RawServer, Reply, ScriptedServer};

use crate::scene;

const LOGIN_PAGE: &str = "<!DOCTYPE html><html><head><title>Log in</title></head><body>\u{1b}[2JHotel WiFi</body></html>";

/// Every command that reads says the same.
fn refused(host: &str, options: &[&str], error: &str, hint: &str) {
    let scene = scene();
    let image = format!("{host}/team/app:v1");
    let repository = format!("{host}/team/app");
    let commands = [
        vec!["tags", &repository],
        vec!["manifest", &image],
        vec!["digest", &image],
        vec!["unpack", &image, "rootfs"],
        vec!["pull", &image, "oci:new"],
    ];
    for command in commands {
        let refusal = scene.refuses([&command, options].concat());
        let prefix = format!("{} {}: ", command[0], command[1]);
        let prefix = prefix.replace("digest ", "resolve ");
        refusal.is(1, &format!("{prefix}{}", error.replace("HOST", host)), &hint.replace("HOST", host));
    }
}

#[test]
fn a_login_page_is_no_registry() {
    let server = ScriptedServer::start(|_| Reply::ok(LOGIN_PAGE).header("content-type", "text/html; charset=utf-8"));
    refused(&server.host(), &[], "?", "");
}

#[test]
fn a_web_server_s_404_is_no_registry() {
    let server = ScriptedServer::start(|_| {
        Reply::new(404).header("content-type", "text/html").body(Body::Whole("<html>Not Found</html>".into()))
    });
    refused(&server.host(), &[], "?", "");
}

#[test]
fn an_empty_200_is_no_registry() {
    let server = ScriptedServer::start(|_| Reply::ok(""));
    refused(&server.host(), &[], "?", "");
}

#[test]
fn plain_http_on_the_https_port_is_told_and_never_fallen_back_to() {
    let server = RawServer::start(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    refused(&server.host(), &["--plain-http=never"], "?", "?");
}

#[test]
fn tls_on_the_http_port_is_told() {
    // The alert that a TLS server sends to whoever does not speak TLS.
    let server = RawServer::start(b"\x15\x03\x01\x00\x02\x02\x46");
    refused(&server.host(), &[], "?", "?");
}

#[test]
fn a_web_server_that_wants_tls_on_its_port_is_told() {
    let server = ScriptedServer::start(|_| {
        let page = "<html><body>The plain HTTP request was sent to HTTPS port</body></html>";
        Reply::new(400).header("content-type", "text/html").body(Body::Whole(page.into()))
    });
    refused(&server.host(), &[], "?", "?");
}

#[test]
fn a_port_where_nobody_listens_is_told() {
    refused(&refusing_host(), &[], "?", "?");
}

#[test]
fn another_protocol_is_told() {
    let server = RawServer::start(b"SSH-2.0-OpenSSH_9.2\r\n");
    refused(&server.host(), &[], "?", "?");
}

#[test]
fn a_server_that_hangs_up_is_told() {
    let server = RawServer::start(b"");
    refused(&server.host(), &[], "?", "");
}
