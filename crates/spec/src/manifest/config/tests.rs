use super::*;

const DOCKER: &str = r#"{
    "architecture": "arm64", "variant": "v8", "os": "linux", "created": "2026-01-02T03:04:05Z", "author": "a",
    "config": {
        "User": "0:0", "ExposedPorts": {"80/tcp": {}}, "Env": ["A=b"], "Entrypoint": ["/bin/x"], "Cmd": null,
        "Volumes": {"/data": {}}, "WorkingDir": "/w", "Labels": {"k": "v"}, "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["CMD", "x"]}, "OnBuild": ["RUN y"], "Shell": ["/bin/sh"]
    },
    "container_config": {"Hostname": "h"}, "docker_version": "20.10",
    "history": [{"created_by": "ADD", "comment": "c"}, {"created_by": "ENV", "empty_layer": true, "x": 1}],
    "rootfs": {"type": "layers", "diff_ids": ["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}
}"#;

#[test]
fn a_docker_config_is_read_whole() {
    let config = ImageConfig::parse(DOCKER.as_bytes()).unwrap();
    assert_eq!(config.platform().to_string(), "linux/arm64/v8");
    assert_eq!(config.rootfs.diff_ids, [Digest::of(b"")]);
    assert_eq!((config.history.len(), config.history[1].empty_layer), (2, true));
    let runtime = config.config.unwrap();
    assert_eq!((runtime.user.as_deref(), runtime.working_dir.as_deref()), (Some("0:0"), Some("/w")));
    assert_eq!((runtime.entrypoint.len(), runtime.cmd.len()), (1, 0));
    assert!(runtime.exposed_ports.contains("80/tcp") && runtime.volumes.contains("/data"));
    assert_eq!(runtime.extra.keys().collect::<Vec<_>>(), ["Healthcheck", "OnBuild", "Shell"]);
}

#[test]
fn every_field_survives_a_round_trip() {
    let config = ImageConfig::parse(DOCKER.as_bytes()).unwrap();
    let bytes = config.to_bytes();
    assert_eq!(ImageConfig::parse(&bytes), Ok(config.clone()));
    assert_eq!(bytes, config.to_bytes());
    let mut before: Value = serde_json::from_str(DOCKER).unwrap();
    before["config"].as_object_mut().unwrap().remove("Cmd");
    assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), before);
}

#[test]
fn what_is_left_out_or_null_is_nothing() {
    let nulls = r#"{"created":null,"os":null,"config":null,"history":null,"rootfs":{"type":"layers","diff_ids":null}}"#;
    for json in [nulls, r#"{"rootfs":{}}"#] {
        let config = ImageConfig::parse(json.as_bytes()).unwrap();
        assert_eq!(config, ImageConfig::new(Platform::new("", ""), Vec::new()), "{json}");
    }
    let json = r#"{"rootfs":{},"config":{"Env":null,"Volumes":null,"Labels":null,"Entrypoint":null,"User":null}}"#;
    let config = ImageConfig::parse(json.as_bytes()).unwrap();
    assert_eq!(config.config, Some(RuntimeConfig::default()));
}

#[test]
fn a_command_may_be_one_string() {
    let config = ImageConfig::parse(br#"{"rootfs":{},"config":{"Cmd":"/bin/sh"}}"#).unwrap();
    assert_eq!(config.config.unwrap().cmd, ["/bin/sh"]);
}

/// M10: which layers an image has is not for the parser to choose.
#[test]
fn malformed_configs_are_refused() {
    let deep = format!(r#"{{"rootfs":{{}},"x":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    assert_eq!(ImageConfig::parse(deep.as_bytes()), Err(InvalidManifest::TooDeep));
    let twice = r#"{"rootfs":{"diff_ids":[],"diff_ids":["x"]}}"#;
    assert_eq!(ImageConfig::parse(twice.as_bytes()), Err(InvalidManifest::DuplicateKey("diff_ids".to_owned())));
    for json in ["", "{}", "[]", r#"{"rootfs":{}}x"#, r#"{"rootfs":{"diff_ids":["sha256:x"]}}"#, r#"{"rootfs":null}"#] {
        assert!(matches!(ImageConfig::parse(json.as_bytes()), Err(InvalidManifest::Json(_))), "{json}");
    }
}
