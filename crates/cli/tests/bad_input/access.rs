//! Registries that want to know who asks, and do not like the answer: exit code 4.

use test_support::{Body, Reply, Scene, ScriptedServer};

use crate::scene;

fn refusal(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
    Reply::new(status).header("content-type", "application/json").body(Body::Whole(body.into()))
}

fn refused(scene: &Scene, server: &ScriptedServer, error: &str, hint: &str) {
    let reference = format!("{}/app:v1", server.host());
    let error = format!("manifest HOST/app:v1: {error}");
    scene.refuses(["manifest", &reference]).is(4, &error, hint);
    scene.refuses(["unpack", &reference, "rootfs"]).is(4, &format!("unpack HOST/app:v1: {error}"), hint);
    scene.refuses(["pull", &reference, "oci:new"]).is(4, &format!("pull HOST/app:v1: {error}"), hint);
}

#[test]
fn a_registry_that_wants_credentials_gets_none_and_says_so() {
    let server = ScriptedServer::start(|_| {
        refusal(401, "UNAUTHORIZED", "authentication required").header("www-authenticate", "Basic realm=\"x\"")
    });
    refused(&scene(), &server, "authentication required (401 UNAUTHORIZED)", "gantri login HOST");
}

#[test]
fn a_registry_that_refuses_the_credentials_says_so() {
    let scene = scene();
    let server = ScriptedServer::start(|_| {
        refusal(401, "UNAUTHORIZED", "wrong password").header("www-authenticate", "Basic realm=\"x\"")
    });
    std::fs::create_dir(scene.home(".docker")).unwrap();
    let config = format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpjYW5hcnk="}}}}}}"#, server.host());
    std::fs::write(scene.home(".docker/config.json"), config).unwrap();
    refused(&scene, &server, "wrong password (401 UNAUTHORIZED)", "gantri login HOST");
}

/// A registry that wants tokens, and what its token server answers.
fn with_token_server(answer: fn() -> Reply) -> ScriptedServer {
    ScriptedServer::start(move |request| {
        let host = request.header("host").unwrap_or_default();
        if request.target.starts_with("/token") {
            return answer();
        }
        let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"x\"");
        refusal(401, "UNAUTHORIZED", "authentication required").header("www-authenticate", challenge)
    })
}

#[test]
fn a_token_server_that_refuses_is_named() {
    let server = with_token_server(|| refusal(401, "UNAUTHORIZED", "no such user"));
    refused(
        &scene(),
        &server,
        "token from http://HOST/token for repository:app:pull: refused: no such user (401 UNAUTHORIZED)",
        "gantri login HOST",
    );
}

/// Who is to wait is told that, and not to log in.
#[test]
fn a_token_server_that_asks_to_wait_is_not_logged_in_to() {
    let server = with_token_server(|| Reply::new(499).header("retry-after", "3600"));
    refused(
        &scene(),
        &server,
        "token from http://HOST/token for repository:app:pull: refused (499)",
        "the token server asks to wait 3600 seconds",
    );
}

#[test]
fn a_registry_that_denies_says_so() {
    let server = ScriptedServer::start(|_| refusal(403, "DENIED", "requested access to the resource is denied"));
    refused(&scene(), &server, "requested access to the resource is denied (403 DENIED)", "");
}

/// And only when a registry asks: a broken file is no reason to fail where nobody wants credentials.
#[test]
fn a_configuration_that_can_t_be_read_is_named() {
    let scene = scene();
    std::fs::create_dir(scene.home(".docker")).unwrap();
    std::fs::write(scene.home(".docker/config.json"), "{\"auths\": canary").unwrap();
    let server = ScriptedServer::start(|request| {
        if request.target.contains("/private/") {
            refusal(401, "UNAUTHORIZED", "who asks?").header("www-authenticate", "Basic realm=\"x\"")
        } else {
            refusal(404, "MANIFEST_UNKNOWN", "no such tag")
        }
    });
    let [private, public] = ["private", "public"].map(|name| format!("{}/{name}/app:v1", server.host()));
    scene.refuses(["manifest", &private]).is(
        1,
        "manifest HOST/private/app:v1: credentials for HOST: PLACE/home/.docker/config.json: expected value at line 1 \
         column 11",
        "repair it there, or remove it and log in again",
    );
    let ran = scene.run(["manifest", &public]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
}
