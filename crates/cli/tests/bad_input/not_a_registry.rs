//! What answers at the address, but is no registry.

use test_support::raw::refusing_host;
use test_support::{Body, RawServer, Reply, ScriptedServer};

use crate::scene;

const LOGIN_PAGE: &str =
    "<!DOCTYPE html><html><head><title>Log in</title></head><body>\u{1b}[2JHotel WiFi</body></html>";

/// Every command that reads says the same.
fn refused(host: &str, options: &[&str], error: &str, hint: &str) {
    refused_as(host, options, [error, error], hint);
}

/// The first error is that of a listing.
fn refused_as(host: &str, options: &[&str], [listing, error]: [&str; 2], hint: &str) {
    let scene = scene();
    let image = format!("{host}/team/app:v1");
    let repository = format!("{host}/team/app");
    let (tags, manifest) = ("tags of HOST/team/app", "manifest HOST/team/app:v1");
    let commands = [
        (vec!["tags", &repository], tags.to_owned(), "/v2/team/app/tags/list"),
        (vec!["manifest", &image], manifest.to_owned(), "/v2/team/app/manifests/v1"),
        (vec!["digest", &image], manifest.to_owned(), "/v2/team/app/manifests/v1"),
        (vec!["unpack", &image, "rootfs"], format!("unpack HOST/team/app:v1: {manifest}"), "/v2/team/app/manifests/v1"),
        (vec!["pull", &image, "oci:new"], format!("pull HOST/team/app:v1: {manifest}"), "/v2/team/app/manifests/v1"),
    ];
    for (command, doing, path) in commands {
        let error = if command[0] == "tags" { listing } else { error };
        let error = format!("{doing}{}", error.replace("PATH", path));
        let error = if command[0] == "digest" { as_head_tells(&error) } else { error };
        scene.refuses([&command, options].concat()).is(1, &error, hint);
    }
}

/// An answer to HEAD has no body to show.
fn as_head_tells(error: &str) -> String {
    match error.split_once("it answered \"") {
        Some((before, body)) => format!("{before}it answered \"\"{}", body.rsplit_once('"').unwrap().1),
        None => error.to_owned(),
    }
}

#[test]
fn a_login_page_is_no_registry() {
    let server = ScriptedServer::start(|_| Reply::ok(LOGIN_PAGE).header("content-type", "text/html; charset=utf-8"));
    refused(
        &server.host(),
        &[],
        ": http://HOSTPATH is not a registry: it answered \"<!DOCTYPE html><html><head><title>Log in</title></head><body>\\u{1b}[2JHotel WiFi</body></html>\" (200)",
        "",
    );
}

#[test]
fn a_web_server_s_404_is_no_registry() {
    let server = ScriptedServer::start(|_| {
        Reply::new(404).header("content-type", "text/html").body(Body::Whole("<html>Not Found</html>".into()))
    });
    refused(
        &server.host(),
        &[],
        ": http://HOSTPATH is not a registry: it answered \"<html>Not Found</html>\" (404)",
        "",
    );
}

#[test]
fn an_empty_200_is_no_registry() {
    let server = ScriptedServer::start(|_| Reply::ok(""));
    let error = ": http://HOSTPATH is not a registry: it answered \"\" (200)";
    let listing = format!(": listing{error}: EOF while parsing a value at line 1 column 0");
    refused_as(&server.host(), &[], [&listing, error], "");
}

#[test]
fn plain_http_on_the_https_port_is_told_and_never_fallen_back_to() {
    let server = RawServer::start(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    refused(
        &server.host(),
        &["--plain-http=never"],
        ": https://HOST: the server does not speak tls: client error (Connect): received corrupt message of type InvalidContentType",
        "if HOST is meant to be reached without tls, allow plain http for it (--plain-http)",
    );
}

#[test]
fn tls_on_the_http_port_is_told() {
    // The alert that a TLS server sends to whoever does not speak TLS.
    let server = RawServer::start(b"\x15\x03\x01\x00\x02\x02\x46");
    refused(
        &server.host(),
        &[],
        ": http://HOST: the answer is not http: client error (SendRequest): invalid HTTP version parsed",
        "check that HOST is a registry, and its port",
    );
}

#[test]
fn a_web_server_that_wants_tls_on_its_port_is_told() {
    let server = ScriptedServer::start(|_| {
        let page = "<html><body>The plain HTTP request was sent to HTTPS port</body></html>";
        Reply::new(400).header("content-type", "text/html").body(Body::Whole(page.into()))
    });
    refused(
        &server.host(),
        &[],
        ": http://HOSTPATH is not a registry: it answered \"<html><body>The plain HTTP request was sent to HTTPS port</body></html>\" (400)",
        "",
    );
}

#[test]
fn a_port_where_nobody_listens_is_told() {
    refused(
        &refusing_host(),
        &[],
        " (5 tries): http://HOST: connection refused",
        "check that a registry listens on HOST",
    );
}

#[test]
fn another_protocol_is_told() {
    let server = RawServer::start(b"SSH-2.0-OpenSSH_9.2\r\n");
    refused(
        &server.host(),
        &[],
        ": http://HOST: the answer is not http: client error (SendRequest): invalid HTTP version parsed",
        "check that HOST is a registry, and its port",
    );
}

#[test]
fn a_server_that_hangs_up_is_told() {
    let server = RawServer::start(b"");
    refused(
        &server.host(),
        &[],
        " (5 tries): http://HOST: connection closed before an answer: client error (SendRequest): connection closed before message completed",
        "",
    );
}
