//! containerd's docs/hosts.md, by its own examples.

use gantri::core::filter::Serves;

use super::*;

fn with(files: &[(&str, &str)]) -> (TempDir, Configuration) {
    let dir = dir(files);
    let configuration = Configuration::default().hosts_dir(dir.path());
    (dir, configuration)
}

fn for_hub(text: &str) -> (TempDir, Configuration) {
    with(&[("docker.io/hosts.toml", text)])
}

#[test]
fn hosts_are_asked_in_the_order_of_the_file_and_the_server_last() {
    let (dir, configuration) = for_hub(
        "server = \"https://registry-1.docker.io\"    # Exclude this to not use upstream\n\n\
         [host.\"https://public-mirror.example.com\"]\n  capabilities = [\"pull\"]\n\
         [host.\"https://docker-mirror.internal\"]\n  capabilities = [\"pull\", \"resolve\"]\n  ca = \"docker-mirror.crt\"\n",
    );
    let route = configuration.route(&reference("alpine")).unwrap();
    let asked: Vec<(String, Serves)> = route.mirrors.iter().map(|stop| (at(stop), stop.serves)).collect();
    assert_eq!(
        asked,
        [
            ("https public-mirror.example.com/library/alpine".to_owned(), Serves::Digests),
            ("https docker-mirror.internal/library/alpine".to_owned(), Serves::All),
        ]
    );
    assert_eq!(at(&route.origin), "https docker.io/library/alpine");
    // Paths stand relative to the file; a mirror is told for whom it stands in, the host itself is not.
    let mirror = &route.mirrors[1].endpoint;
    assert_eq!(mirror.certificates.roots[0].value, dir.path().join("docker.io/docker-mirror.crt"));
    assert_eq!(mirror.certificates.roots[0].said.as_ref().unwrap().line, Some(7));
    assert_eq!(mirror.namespace, Some("docker.io".parse().unwrap()));
    assert_eq!(route.origin.endpoint.namespace, None);
    assert_eq!(route.mirrors[0].said.as_ref().unwrap().line, Some(3));
}

#[test]
fn a_server_alone_is_the_only_one_asked() {
    let (_dir, configuration) = with(&[("_default/hosts.toml", "server = \"https://registry.example.com\"\n")]);
    assert_eq!(read_from(&configuration, "ghcr.io/a/b").unwrap(), ["https registry.example.com/a/b"]);
    let (_dir, configuration) = with(&[(
        "_default/hosts.toml",
        "[host.\"https://registry.example.com\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
    )]);
    assert_eq!(
        read_from(&configuration, "ghcr.io/a/b").unwrap(),
        ["https registry.example.com/a/b", "https ghcr.io/a/b"]
    );
}

/// `Port Handling in Registry Host`.
#[test]
fn a_host_with_a_port_is_looked_for_under_three_names() {
    let server = |name: &str| format!("server = \"https://{name}.test\"");
    let (first, second, third) = (server("first"), server("second"), server("third"));
    let files = [
        ("myregistry.io_5000_/hosts.toml", first.as_str()),
        ("myregistry.io:5000/hosts.toml", second.as_str()),
        ("_default/hosts.toml", third.as_str()),
    ];
    for (skipped, expected) in ["first", "second", "third"].iter().enumerate() {
        let (_dir, configuration) = with(&files[skipped..]);
        let found = read_from(&configuration, "myregistry.io:5000/a").unwrap();
        assert_eq!(found, [format!("https {expected}.test/a")]);
    }
    let (_dir, configuration) = with(&files[..2]);
    assert_eq!(read_from(&configuration, "myregistry.io/a").unwrap(), ["https myregistry.io/a"]);
}

#[test]
fn what_is_pushed_goes_to_the_first_that_may_be_pushed_to() {
    let example = "server = \"https://registry-1.docker.io\"\n\n[host.\"http://192.168.31.250:5000\"]\n  \
        capabilities = [\"pull\", \"resolve\", \"push\"]\n  skip_verify = true\n";
    let (_dir, configuration) = for_hub(example);
    let target = configuration.target(&reference("a/b")).unwrap();
    assert_eq!(at(&target), "http 192.168.31.250:5000/a/b");
    assert!(target.endpoint.skip_verify.value);
    let (_dir, configuration) = for_hub("[host.\"https://m.test\"]\ncapabilities = [\"pull\"]\n");
    assert_eq!(at(&configuration.target(&reference("a/b")).unwrap()), "https docker.io/a/b");
    let (dir, configuration) = for_hub("server = \"https://m.test\"\ncapabilities = [\"pull\", \"resolve\"]\n");
    assert_eq!(
        refused(configuration.target(&reference("a/b")), ErrorKind::Unsupported, dir.path()),
        "push to docker.io: no host in docker.io/hosts.toml:1 has the capability; add it to the capabilities of one of them"
    );
}

/// A host that may not resolve is not asked what a tag names, not even last.
#[test]
fn tags_are_resolved_by_those_that_may() {
    let text = "server = \"https://server.test\"\ncapabilities = [\"pull\"]\n\
        [host.\"https://resolves.test\"]\ncapabilities = [\"pull\", \"resolve\"]\n\
        [host.\"https://names.test\"]\ncapabilities = [\"resolve\"]\n";
    let (_dir, configuration) = for_hub(text);
    let route = configuration.route(&reference("a/b:v1")).unwrap();
    let asked: Vec<(String, Serves)> = route.mirrors.iter().map(|stop| (at(stop), stop.serves)).collect();
    assert_eq!(
        asked,
        [("https names.test/a/b".to_owned(), Serves::Tags), ("https server.test/a/b".to_owned(), Serves::Digests),]
    );
    assert_eq!(at(&route.origin), "https resolves.test/a/b");
    let digest = format!("a/b@sha256:{}", "0".repeat(64));
    assert_eq!(read_from(&configuration, &digest).unwrap(), ["https resolves.test/a/b", "https server.test/a/b"]);
    let (dir, configuration) = for_hub("server = \"https://server.test\"\ncapabilities = [\"pull\"]\n");
    assert_eq!(
        refused(read_from(&configuration, "a/b"), ErrorKind::Unsupported, dir.path()),
        "pull and resolve from docker.io: no host in docker.io/hosts.toml:1 has the capability; \
         add it to the capabilities of one of them"
    );
}

#[test]
fn the_fields_of_a_host_are_read_in_all_their_forms() {
    let text = "[host.\"https://m.test/team/\"]\n  ca = [\"/etc/certs/test-1-ca.pem\", \"special.pem\"]\n  \
        client = [[\"/etc/certs/client.cert\", \"/etc/certs/client.key\"], [\"client.pem\", \"\"]]\n  \
        dial_timeout = \"1s\"\n  proxy = \"http://my-proxy:8080\"\n  override_path = true\n  \
        [host.\"https://m.test/team/\".header]\n    x-custom-1 = [\"custom header part a\", \"part b\"]\n    x-custom-2 = \"canary\"\n\
        [host.\"https://n.test/x\"]\n  client = \"/etc/certs/client.pem\"\n\
        [host.\"https://o.test\"]\n  client = [\"/etc/certs/client-1.pem\", \"/etc/certs/client-2.pem\"]\n";
    let (dir, configuration) = for_hub(text);
    let route = configuration.route(&reference("a/b")).unwrap();
    let [m, n, o] = &route.mirrors[..] else { panic!("{route:?}") };
    let clients = |stop: &Stop| -> Vec<(String, String)> {
        let show = |path: &Path| path.display().to_string().replace(&format!("{}/", dir.path().display()), "");
        let clients = &stop.endpoint.certificates.clients;
        clients.iter().map(|client| (show(&client.value.certificate), show(&client.value.key))).collect()
    };
    let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    assert_eq!(
        clients(m),
        [pair("/etc/certs/client.cert", "/etc/certs/client.key"), pair("docker.io/client.pem", "docker.io/client.pem"),]
    );
    assert_eq!(clients(n), [pair("/etc/certs/client.pem", "/etc/certs/client.pem")]);
    assert_eq!(clients(o).len(), 2);
    let roots: Vec<_> = m.endpoint.certificates.roots.iter().map(|root| root.value.clone()).collect();
    assert_eq!(roots, [Path::new("/etc/certs/test-1-ca.pem").to_owned(), dir.path().join("docker.io/special.pem")]);
    assert_eq!(m.endpoint.connect.as_ref().unwrap().value.as_secs(), 1);
    assert_eq!(m.endpoint.proxy.as_ref().unwrap().value.to_string(), "http://my-proxy:8080");
    assert_eq!((m.endpoint.api_root.as_deref(), n.endpoint.api_root.as_deref()), (Some("/team"), Some("/x/v2")));
    let headers: Vec<_> = m.endpoint.headers.iter().map(|header| header.value.name.as_str()).collect();
    assert_eq!(headers, ["x-custom-1", "x-custom-1", "x-custom-2"]);
    // The value of a header may be a secret.
    assert!(!format!("{route:?}").contains("canary"));
}

/// containerd goes on as if the file were not there; here nothing is guessed.
#[test]
fn what_is_wrong_is_told_in_one_line_with_file_line_and_key() {
    let host = "\n[host.\"https://m.test\"]\n";
    let cases: &[(&str, &str)] = &[
        (
            "server = \"ftp://m.test\"",
            "docker.io/hosts.toml:1: server: \"ftp://m.test\": neither http nor https; write https://HOST[:PORT][/PATH]",
        ),
        (
            &format!("{host}capabilities = [\"pull\", \"fetch\"]"),
            "docker.io/hosts.toml:3: host.\"https://m.test\".capabilities: \"fetch\": is none; write pull, resolve or push",
        ),
        (
            &format!("{host}skip_verify = 1"),
            "docker.io/hosts.toml:3: host.\"https://m.test\".skip_verify: not true or false; \
             write true or false, without quotes",
        ),
        (
            &format!("{host}dial_timeout = \"10\""),
            "docker.io/hosts.toml:3: host.\"https://m.test\".dial_timeout: \"10\": not a time; \
             write \"500ms\", \"10s\" or \"1m30s\"",
        ),
        (
            &format!("{host}client = [[\"a\", \"b\", \"c\"]]"),
            "docker.io/hosts.toml:3: host.\"https://m.test\".client: not a certificate and its key; \
             write [[\"certificate\", \"key\"]]",
        ),
        ("[host.\"https://a b\"]\n", "docker.io/hosts.toml:1: host.\"https://a b\": \"https://a b\": "),
        (
            &format!("{host}proxy = \"ftp://me:canary@p\""),
            "docker.io/hosts.toml:3: host.\"https://m.test\".proxy: no address of a proxy; \
             write http://HOST:PORT; or https, socks5, socks5h",
        ),
        ("[host\n", "docker.io/hosts.toml:1: not toml: "),
    ];
    for (text, expected) in cases {
        let (dir, configuration) = for_hub(text);
        let outcome = read_from(&configuration, "a/b");
        let error = outcome.as_ref().unwrap_err();
        let told = format!("{error}; {}", error.hint().unwrap_or_default());
        let told = told.replace(&format!("{}/", dir.path().display()), "");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(told.starts_with(expected), "{text}\n{told}\n{expected}");
    }
}

/// A16: a user and a password have no place in a URL, and are not shown where they stand in one.
#[test]
fn a_password_in_a_url_is_refused_and_not_shown() {
    let refusal = "no user and password in the URL; log in to the host in their stead";
    let cases = [
        ("server = \"https://me:canary@m.test\"", format!("docker.io/hosts.toml:1: server: {refusal}")),
        ("server = \"me:canary@m.test\"", format!("docker.io/hosts.toml:1: server: {refusal}")),
        ("server = \"https://me:can/ary@m.test\"", format!("docker.io/hosts.toml:1: server: {refusal}")),
        (
            "[host.\"https://me:canary@m.test\"]\nunknown = 1",
            format!("docker.io/hosts.toml:1: host.\"..@m.test\": {refusal}"),
        ),
        (
            "[host.\"https://me:canary@m.test\"]\nskip_verify = 1",
            format!("docker.io/hosts.toml:1: host.\"..@m.test\": {refusal}"),
        ),
        (
            "[host]\n\"https://me:canary@m.test\" = 1",
            "docker.io/hosts.toml:2: host...@m.test: not a table; write it as [host...@m.test]".to_owned(),
        ),
    ];
    for (text, expected) in cases {
        let (dir, configuration) = for_hub(text);
        let told = refused(read_from(&configuration, "a/b"), ErrorKind::Config, dir.path());
        assert_eq!(told, expected);
    }
    let (_dir, configuration) = for_hub("[\"https://me:canary@m.test\"]\n");
    let notes = configuration.route(&reference("a/b")).unwrap().notes;
    assert!(notes.len() == 1 && !notes[0].contains("canary"), "{notes:?}");
}

/// The tree was named by whoever reads it: what can't be looked at there is no host that it does not know.
#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_looked_at_is_an_error() {
    let (dir, configuration) = with(&[("_default/hosts.toml", "server = \"https://other.test\"")]);
    std::os::unix::fs::symlink("h.test", dir.path().join("h.test")).unwrap();
    let error = configuration.route(&reference("h.test/a")).unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Config, format!("read {}/h.test", dir.path().display())));
}

#[test]
fn a_directory_without_a_file_is_one_of_certificates() {
    let (dir, configuration) = with(&[("h.test/ca.crt", ""), ("h.test/client.cert", ""), ("h.test/client.key", "")]);
    let origin = configuration.route(&reference("h.test/a")).unwrap().origin;
    assert_eq!(at(&origin), "https h.test/a");
    assert_eq!(origin.endpoint.certificates.roots[0].value, dir.path().join("h.test/ca.crt"));
    assert_eq!(origin.endpoint.certificates.clients.len(), 1);
}

/// A tree was named by whoever reads it, and has the first word; what is blocked stays blocked.
#[test]
fn a_host_that_the_tree_knows_is_as_the_tree_says() {
    let files = [
        ("certs.d/h.test/hosts.toml", "server = \"https://tree.test\""),
        (
            "registries.conf",
            "[[registry]]\nprefix = \"h.test\"\nlocation = \"conf.test\"\n[[registry]]\nlocation = \"h.test/closed\"\n\
             blocked = true\n[[registry]]\nprefix = \"i.test\"\nlocation = \"conf.test\"\n",
        ),
    ];
    let dir = dir(&files);
    let configuration = Configuration::default()
        .registries_conf(dir.path().join("registries.conf"))
        .hosts_dir(dir.path().join("certs.d"));
    assert_eq!(read_from(&configuration, "h.test/a").unwrap(), ["https tree.test/a"]);
    assert_eq!(read_from(&configuration, "i.test/a").unwrap(), ["https conf.test/a"]);
    assert_eq!(read_from(&configuration, "h.test/closed/a").unwrap_err().kind(), ErrorKind::Denied);
}
