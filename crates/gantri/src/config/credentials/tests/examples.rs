//! Files as the documentation of their formats shows them.

use super::*;

/// docker's documentation of `config.json`, with everything that is not about credentials.
#[tokio::test]
async fn dockers_example() {
    let home = Home::new().with(
        DOCKER,
        r#"{
  "HttpHeaders": {
    "MyHeader": "MyValue"
  },
  "psFormat": "table {{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.Labels}}",
  "imagesFormat": "table {{.ID}}\\t{{.Repository}}\\t{{.Tag}}\\t{{.CreatedAt}}",
  "detachKeys": "ctrl-e,e",
  "credsStore": "scripted",
  "credHelpers": {
    "awesomereg.example.org": "other",
    "unicorn.example.com": "other"
  },
  "plugins": {
    "plugin1": {
      "option": "value"
    }
  },
  "proxies": {
    "default": {
      "httpProxy":  "http://user:pass@example.com:3128",
      "noProxy":    "*.example.com,.example.org,127.0.0.0/8"
    }
  }
}"#,
    );
    let says = |user: &str| format!(r#"read server; echo "{{\"Username\":\"{user} $server\",\"Secret\":\"p\"}}""#);
    let chain = home.chain(&[("SCRIPTED", &says("store")), ("OTHER", &says("own"))]);
    let cases = [
        (
            "awesomereg.example.org",
            "own awesomereg.example.org, ~/.docker/config.json: credHelpers: docker-credential-other",
        ),
        ("unicorn.example.com", "own unicorn.example.com, ~/.docker/config.json: credHelpers: docker-credential-other"),
        ("ghcr.io", "store ghcr.io, ~/.docker/config.json: credsStore: docker-credential-scripted"),
        (
            "docker.io",
            "store https://index.docker.io/v1/, ~/.docker/config.json: credsStore: docker-credential-scripted",
        ),
    ];
    for (host, expected) in cases {
        assert_eq!(found(&home, &chain, host).await, expected);
    }
}

/// containers-auth.json(5): two registries, then paths of one with a fallback, then helpers.
#[tokio::test]
async fn containers_examples() {
    // The manual's own values are no user and password.
    let two = r#"{
    "auths": {
        "docker.io": {
            "auth": "ZG9ja2VyOnA="
        },
        "quay.io": {
            "auth": "cXVheTpw"
        }
    }
}"#;
    let paths = r#"{
    "auths": {
        "my-registry.local/foo/bar/image": {
            "auth": "aW1hZ2U6cA=="
        },
        "my-registry.local/foo": {
            "auth": "Zm9vOnA="
        },
        "my-registry.local": {
            "auth": "bG9jYWw6cA=="
        }
    }
}"#;
    let helpers = r#"{
    "auths": {
        "localhost:5001": {}
    },
    "credHelpers": {
        "registry.example.com": "scripted"
    }
}"#;
    let cases = [
        (two, "docker.io/library/alpine", "docker, ~/run/containers/auth.json: auths \"docker.io\""),
        (two, "quay.io/user/image", "quay, ~/run/containers/auth.json: auths \"quay.io\""),
        (
            paths,
            "my-registry.local/foo/bar/image",
            "image, ~/run/containers/auth.json: auths \"my-registry.local/foo/bar/image\"",
        ),
        (paths, "my-registry.local/foo/bar", "foo, ~/run/containers/auth.json: auths \"my-registry.local/foo\""),
        (paths, "my-registry.local/foo", "foo, ~/run/containers/auth.json: auths \"my-registry.local/foo\""),
        (paths, "my-registry.local/other", "local, ~/run/containers/auth.json: auths \"my-registry.local\""),
        (helpers, "localhost:5001/a", "nobody"),
        (
            helpers,
            "registry.example.com/a",
            "kept, ~/run/containers/auth.json: credHelpers: docker-credential-scripted",
        ),
    ];
    for (file, place, expected) in cases {
        let home = Home::new().with(SESSION, file);
        let chain = home.chain(&[("SCRIPTED", r#"echo '{"Username":"kept","Secret":"p"}'"#)]);
        assert_eq!(found(&home, &chain, place).await, expected, "{place}");
    }
}

/// containers-registries.conf(5), with the setting that is about credentials among the others.
#[tokio::test]
async fn registries_conf_example() {
    let home = Home::new().with(
        CONF,
        r#"credential-helpers = ["containers-auth.json", "scripted"]
unqualified-search-registries = ["example.com"]

[[registry]]
prefix = "example.com/foo"
insecure = false
blocked = false
location = "internal-registry-for-example.com/bar"

[[registry.mirror]]
location = "example-mirror-0.local/mirror-for-foo"

[[registry.mirror]]
location = "example-mirror-1.local/mirrors/foo"
insecure = true
"#,
    );
    let chain = home.chain(&[("SCRIPTED", r#"read server; echo "{\"Username\":\"$server\",\"Secret\":\"p\"}""#)]);
    let expected = "example.com, ~/.config/containers/registries.conf: credential-helpers: docker-credential-scripted";
    assert_eq!(found(&home, &chain, "example.com/foo/image").await, expected);
}
