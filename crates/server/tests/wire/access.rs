//! Who may do what: challenges, passwords, tokens, and that a refusal tells nothing of what is there (R6).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gantri_server::access::{Access, Action, Basic, Over, Permissions, Tokens, Users, Who};
use gantri_server::{Quirk, ServerOptions};
use gantri_spec::wire::{Challenge, Scheme};

use crate::harness::{Answer, Served, digest, serve, serve_with};

/// Ann, whose password is `nna`, and Bob, whose is `bob`, at the lowest cost.
const USERS: &str = "ann:$2y$04$ANN\nbob:$2y$04$BOB\n";

fn users() -> Users {
    let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
    Users::parse(&USERS.replace("$2y$04$ANN", &hash("nna")).replace("$2y$04$BOB", &hash("bob"))).unwrap()
}

/// Everybody reads `open/app`, Ann does everything below `ann`, Bob everything everywhere.
fn permissions() -> Permissions {
    let all = [Action::Pull, Action::Push, Action::Delete];
    Permissions::none()
        .allow(Who::Anyone, Over::Repository("open/app".parse().unwrap()), &[Action::Pull])
        .allow(Who::User("ann".into()), Over::Below("ann".parse().unwrap()), &all)
        .allow(Who::User("bob".into()), Over::Everything, &all)
}

async fn guarded(access: impl Access) -> Served {
    let served = serve_with(ServerOptions::default().with_access(access)).await;
    for repo in ["open/app", "ann/app", "secret/app"] {
        served.image(repo, &["v1"]).await;
    }
    served
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

fn ann() -> String {
    basic("ann", "nna")
}

async fn as_(served: &Served, who: &str, request: &str) -> Answer {
    served.ask(request, &[("authorization", who)], "").await
}

fn challenge(answer: &Answer) -> Challenge {
    assert_eq!((answer.status, answer.code().as_str()), (401, "UNAUTHORIZED"));
    Challenge::parse_all([answer.header("www-authenticate")]).remove(0)
}

#[tokio::test]
async fn a_password_is_asked_for_and_checked() {
    let served = guarded(Basic::new(users(), permissions())).await;
    let get = "GET /v2/ann/app/manifests/v1";
    assert_eq!(challenge(&served.get(get).await).scheme(), &Scheme::Basic);
    assert_eq!(challenge(&served.get("GET /v2/").await).scheme(), &Scheme::Basic);
    for wrong in [basic("ann", "ann"), basic("eve", "nna"), basic("", ""), "Bearer x".to_owned(), "?".to_owned()] {
        assert_eq!(challenge(&as_(&served, &wrong, get).await).scheme(), &Scheme::Basic, "{wrong}");
        // Not even what everybody may: who says something wrong about himself is told so.
        assert_eq!(as_(&served, &wrong, "GET /v2/open/app/manifests/v1").await.status, 401, "{wrong}");
    }
    assert_eq!(as_(&served, &ann(), "GET /v2/").await.status, 200);
    assert_eq!(as_(&served, &ann(), get).await.status, 200);
    assert_eq!(served.get("GET /v2/open/app/manifests/v1").await.status, 200);
}

/// What each of them is told about each of these; `-` is 404.
#[tokio::test]
async fn every_verb_asks_for_its_permission() {
    let served = guarded(Basic::new(users(), permissions())).await;
    let blob = digest(b"layer");
    let table = [
        ("GET /v2/R/manifests/v1", [200, 200, 403, 401]),
        ("HEAD /v2/R/manifests/v1", [200, 200, 403, 401]),
        ("GET /v2/R/blobs/$D", [200, 200, 403, 401]),
        ("HEAD /v2/R/blobs/$D", [200, 200, 403, 401]),
        ("GET /v2/R/tags/list", [200, 200, 403, 401]),
        ("GET /v2/R/referrers/$D", [200, 200, 403, 401]),
        ("POST /v2/R/blobs/uploads/", [403, 202, 403, 401]),
        ("POST /v2/R/blobs/uploads/?mount=$D&from=open/app", [403, 201, 403, 401]),
        ("GET /v2/R/blobs/uploads/1", [403, 404, 403, 401]),
        ("PATCH /v2/R/blobs/uploads/1", [403, 404, 403, 401]),
        ("PUT /v2/R/blobs/uploads/1?digest=$D", [403, 404, 403, 401]),
        ("DELETE /v2/R/blobs/uploads/1", [403, 404, 403, 401]),
        ("PUT /v2/R/manifests/v2", [403, 400, 403, 401]),
        ("DELETE /v2/R/manifests/v1", [403, 202, 403, 401]),
        ("DELETE /v2/R/blobs/$D", [403, 202, 403, 401]),
    ];
    for (request, expected) in table {
        let request = request.replace("$D", blob.as_str());
        let to = |repo: &str| request.replacen("/R/", &format!("/{repo}/"), 1);
        let answered = [
            as_(&served, &ann(), &to("open/app")).await.status,
            as_(&served, &ann(), &to("ann/app")).await.status,
            as_(&served, &ann(), &to("secret/app")).await.status,
            served.get(&to("ann/app")).await.status,
        ];
        assert_eq!(answered, expected, "{request}");
    }
    assert_eq!(as_(&served, &ann(), "GET /v2/_catalog").await.status, 403);
    assert_eq!(as_(&served, &basic("bob", "bob"), "GET /v2/_catalog").await.status, 200);
}

/// R6: what is forbidden and what is not there look the same, to the letter.
#[tokio::test]
async fn a_refusal_does_not_tell_what_is_there() {
    let access: [Box<dyn Fn() -> ServerOptions>; 2] = [
        Box::new(|| ServerOptions::default().with_access(Basic::new(users(), permissions()))),
        Box::new(|| ServerOptions::default().with_access(Tokens::new(users(), permissions()).unwrap())),
    ];
    for options in access {
        let served = serve_with(options()).await;
        let manifest = served.image("secret/app", &["v1"]).await;
        let there = digest(b"layer");
        for request in [
            "GET /v2/R/manifests/v1".to_owned(),
            format!("GET /v2/R/manifests/{}", manifest.digest()),
            format!("GET /v2/R/blobs/{there}"),
            "GET /v2/R/tags/list".to_owned(),
            format!("GET /v2/R/referrers/{}", manifest.digest()),
            "DELETE /v2/R/manifests/v1".to_owned(),
        ] {
            let ask = async |repo: &str| {
                let answer = as_(&served, &ann(), &request.replacen("/R/", &format!("/{repo}/"), 1)).await;
                let told = (answer.status, answer.text().to_owned(), answer.header("www-authenticate").to_owned());
                (told.0, told.1.replace(repo, "R"), told.2.replace(repo, "R"))
            };
            assert_eq!(ask("secret/app").await, ask("absent/app").await, "{request}");
        }
    }
}

/// R6: a mount from where the caller may not look is an upload, whether the blob is there or not.
#[tokio::test]
async fn a_mount_tells_nothing_of_a_repository_that_is_closed() {
    let served = guarded(Basic::new(users(), permissions())).await;
    let hidden = served.blob("secret/app", b"hidden").await.digest;
    let ask = async |who: String, digest: &str, from: &str| {
        let answer = as_(&served, &who, &format!("POST /v2/ann/new/blobs/uploads/?mount={digest}{from}")).await;
        (answer.status, answer.header("range").to_owned(), answer.text().to_owned())
    };
    let (there, absent) = (hidden.as_str(), digest(b"absent").to_string());
    for from in ["&from=secret/app", "&from=absent/app", ""] {
        let upload = (202, "0-0".to_owned(), String::new());
        assert_eq!(ask(ann(), there, from).await, upload, "{from}");
        assert_eq!(ask(ann(), &absent, from).await, upload, "{from}");
    }
    assert_eq!(ask(ann(), digest(b"layer").as_str(), "&from=open/app").await.0, 201);
    assert_eq!(ask(basic("bob", "bob"), there, "&from=secret/app").await.0, 201);
    assert_eq!(as_(&served, &ann(), &format!("HEAD /v2/ann/new/blobs/{hidden}")).await.status, 200);
    assert_eq!(ask(basic("bob", "bob"), &absent, "").await.0, 202);
}

async fn token(served: &Served, who: Option<&str>, query: &str) -> Answer {
    let headers: Vec<_> = who.map(|who| ("authorization", who)).into_iter().collect();
    served.ask(&format!("GET /token?service=registry{query}"), &headers, "").await
}

fn bearer(answer: &Answer) -> String {
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    let body = answer.json();
    assert_eq!((&body["token"], &body["expires_in"]), (&body["access_token"], &300.into()));
    format!("Bearer {}", body["token"].as_str().unwrap())
}

#[tokio::test]
async fn a_token_is_had_where_the_challenge_says_and_opens_what_it_is_for() {
    let served = guarded(Tokens::new(users(), permissions()).unwrap()).await;
    let get = "GET /v2/ann/app/manifests/v1";
    let challenged = challenge(&served.get(get).await);
    let realm = format!("http://{}/token", served.address);
    assert_eq!((challenged.scheme(), challenged.realm()), (&Scheme::Bearer, Some(realm.as_str())));
    assert_eq!((challenged.service(), challenged.error()), (Some("registry"), None));
    let scope = challenged.scope().unwrap().to_string();
    assert_eq!(scope, "repository:ann/app:pull");
    // A password is not for the registry itself, only for the token.
    assert_eq!(challenge(&as_(&served, &ann(), get).await).scheme(), &Scheme::Bearer);

    let held = bearer(&token(&served, Some(&ann()), &format!("&scope={scope}&scope=repository:open/app:pull")).await);
    for (request, status) in [(get, 200), ("GET /v2/open/app/manifests/v1", 200), ("GET /v2/", 200)] {
        assert_eq!(as_(&served, &held, request).await.status, status, "{request}");
    }
    for request in ["DELETE /v2/ann/app/manifests/v1", "GET /v2/ann/other/tags/list", "POST /v2/ann/app/blobs/uploads/"]
    {
        let challenged = challenge(&as_(&served, &held, request).await);
        assert_eq!(challenged.error(), Some("insufficient_scope"), "{request}");
    }
    assert_eq!(challenge(&as_(&served, "Bearer forged", get).await).error(), Some("invalid_token"));
}

#[tokio::test]
async fn a_token_is_for_no_more_than_its_holder_may() {
    let served = guarded(Tokens::new(users(), permissions()).unwrap()).await;
    let all = "&scope=repository:secret/app:pull&scope=repository:open/app:pull,push&scope=registry:catalog:*";
    for who in [None, Some(ann())] {
        let held = bearer(&token(&served, who.as_deref(), all).await);
        assert_eq!(as_(&served, &held, "GET /v2/open/app/manifests/v1").await.status, 200);
        for request in ["GET /v2/secret/app/manifests/v1", "POST /v2/open/app/blobs/uploads/", "GET /v2/_catalog"] {
            assert_eq!(as_(&served, &held, request).await.status, 401, "{who:?} {request}");
        }
    }
    let wrong = token(&served, Some(&basic("ann", "bob")), all).await;
    assert_eq!(challenge(&wrong).scheme(), &Scheme::Basic);
    assert_eq!(token(&served, None, "&scope=%22").await.status, 400);
    assert_eq!(served.get("POST /token").await.status, 405);
    assert_eq!(serve().await.get("GET /token").await.status, 404);
}

/// One token for a whole mount: its source too, if it may be had.
#[tokio::test]
async fn a_mount_by_token_needs_both_repositories_in_it() {
    let served = guarded(Tokens::new(users(), permissions()).unwrap()).await;
    let mount = format!("POST /v2/ann/new/blobs/uploads/?mount={}&from=open/app", digest(b"layer"));
    let challenged = challenge(&served.get(&mount).await).scope().unwrap().to_string();
    assert_eq!(challenged, "repository:ann/new:pull,push repository:open/app:pull");
    let both = bearer(&token(&served, Some(&ann()), &format!("&scope={}", challenged.replace(' ', "+"))).await);
    let one = bearer(&token(&served, Some(&ann()), "&scope=repository:ann/new:pull,push").await);
    assert_eq!(as_(&served, &one, &mount).await.status, 202);
    assert_eq!(as_(&served, &both, &mount).await.status, 201);
}

/// R9: where tokens are to be had is not for a request to say.
#[tokio::test]
async fn no_header_of_a_request_leads_a_challenge_elsewhere() {
    let options = ServerOptions::default().with_url("https://registry.test/").with_quirk(Quirk::TokenDance);
    let served = serve_with(options).await;
    let forged = [("host", "evil.test"), ("x-forwarded-host", "evil.test"), ("x-forwarded-proto", "http")];
    let challenged = challenge(&served.ask("GET http://evil.test/v2/a/tags/list", &forged[1..], "").await);
    assert_eq!(challenged.realm(), Some("https://registry.test/token"));
}
