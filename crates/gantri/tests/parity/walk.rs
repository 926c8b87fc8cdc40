//! The paths that the conformance suite of the distribution spec walks, in words of our own: every way to push a blob in
//! both algorithms, every kind of manifest there is, and each of them read, listed and deleted again. Over memory and over
//! a tree of layouts, on the wire, by a client that knows nothing.

use std::sync::Arc;

use gantri::server::{Server, ServerOptions};
use gantri::spec::{Algorithm, Descriptor, Digest, MediaType};
use gantri::{Layout, Memory, MissingChildren, Registry};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];
const OCTETS: (&str, &str) = ("content-type", "application/octet-stream");
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Walks over each registry that the server can serve.
async fn walk(over: impl AsyncFn(&Wire)) {
    let home = tempfile::tempdir().unwrap();
    let tree = Layout::tree(home.path()).await.unwrap().with_missing_children(MissingChildren::Allowed);
    let memory = Memory::new().with_missing_children(MissingChildren::Allowed);
    let registries: [Arc<dyn Registry>; 2] = [Arc::new(memory), Arc::new(tree)];
    for registry in registries {
        let server = Server::bind(([127, 0, 0, 1], 0).into(), registry, ServerOptions::default()).await.unwrap();
        let wire = Wire(server.local_addr().to_string());
        let mut running = JoinSet::new();
        running.spawn(server.run(std::future::pending()));
        over(&wire).await;
    }
}

/// A client of one request at a time.
struct Wire(String);

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Wire {
    async fn ask(&self, request: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let mut stream = TcpStream::connect(&self.0).await.unwrap();
        let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let headers = headers.concat();
        let length = body.len();
        let head =
            format!("{request} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {length}\r\n", self.0);
        stream.write_all(format!("{head}{headers}\r\n").as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let split = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&answer[..split]).unwrap().to_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: answer[split + 4..].to_vec() }
    }

    async fn get(&self, request: &str) -> Answer {
        self.ask(request, &[], "").await
    }

    /// Starts an upload; where it goes on.
    async fn start(&self) -> String {
        let started = self.get("POST /v2/walk/one/blobs/uploads/").await;
        assert_eq!(started.status, 202);
        started.header("location").unwrap().to_owned()
    }

    /// Sends bytes where the answer before said, as a chunk or as the end.
    async fn chunk(&self, verb: &str, at: &str, range: (usize, usize), bytes: &[u8]) -> Answer {
        let range = format!("{}-{}", range.0, range.1 - 1);
        self.ask(&format!("{verb} {at}"), &[OCTETS, ("content-range", &range)], bytes).await
    }

    /// Puts a manifest; what is to be read of it at the location that the answer names must be the same.
    async fn put(&self, at: &str, kind: &str, manifest: &[u8]) -> Answer {
        let put = self.ask(&format!("PUT /v2/walk/one/manifests/{at}"), &[("content-type", kind)], manifest).await;
        assert_eq!(put.status, 201, "{at} {put:?}");
        let got = self.get(&format!("GET {}", put.header("location").unwrap())).await;
        assert_eq!((got.status, got.body.as_slice(), got.header("content-type")), (200, manifest, Some(kind)));
        put
    }

    /// Deletes, and finds nothing there any more.
    async fn delete(&self, what: &str) {
        assert_eq!(self.get(&format!("DELETE {what}")).await.status, 202, "{what}");
        assert_eq!(self.get(&format!("HEAD {what}")).await.status, 404, "{what}");
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn content(algorithm: Algorithm, name: &str, size: usize) -> (Digest, Vec<u8>) {
    let bytes: Vec<u8> = name.bytes().cycle().take(size).collect();
    (algorithm.digest(&bytes).unwrap(), bytes)
}

/// Whether a blob was stored by this answer, and is all that a blob should be.
async fn is_stored(wire: &Wire, stored: &Answer, digest: &Digest, bytes: &[u8]) {
    assert_eq!((stored.status, stored.header("docker-content-digest")), (201, Some(digest.as_str())), "{stored:?}");
    let blob = format!("/v2/walk/one/blobs/{digest}");
    for at in [stored.header("location").unwrap(), &blob] {
        let got = wire.get(&format!("GET {at}")).await;
        assert_eq!((got.status, got.body.as_slice()), (200, bytes));
    }
    let head = wire.get(&format!("HEAD {blob}")).await;
    assert_eq!((head.status, head.body.len(), head.header("docker-content-digest")), (200, 0, Some(digest.as_str())));
    assert_eq!(head.header("content-length"), Some(bytes.len().to_string().as_str()));
    wire.delete(&blob).await;
}

#[tokio::test]
async fn a_blob_can_be_pushed_in_every_way() {
    walk(async |wire: &Wire| {
        for algorithm in ALGORITHMS {
            for (name, size) in [("some", 3_067), ("{}", 2), ("none", 0)] {
                let (digest, bytes) = content(algorithm, name, size);
                assert_eq!(wire.get(&format!("GET /v2/walk/one/blobs/{digest}")).await.status, 404);
                let post = format!("POST /v2/walk/one/blobs/uploads/?digest={digest}");
                is_stored(wire, &wire.ask(&post, &[OCTETS], &bytes).await, &digest, &bytes).await;
                let put = format!("PUT {}?digest={digest}", wire.start().await);
                is_stored(wire, &wire.ask(&put, &[OCTETS], &bytes).await, &digest, &bytes).await;
                let upload = wire.start().await;
                let streamed = wire.ask(&format!("PATCH {upload}"), &[OCTETS], &bytes).await;
                assert_eq!(streamed.status, 202);
                let put = format!("PUT {}?digest={digest}", streamed.header("location").unwrap());
                is_stored(wire, &wire.get(&put).await, &digest, &bytes).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_blob_can_be_pushed_in_chunks_and_one_out_of_order_spoils_nothing() {
    walk(async |wire: &Wire| {
        for (algorithm, ends_with_chunk) in ALGORITHMS.into_iter().flat_map(|one| [(one, true), (one, false)]) {
            let (digest, bytes) = content(algorithm, "chunks", 3_067);
            let mut at = wire.start().await;
            for start in [0, 1_023, 2_046] {
                let end = (start + 1_023).min(bytes.len());
                let out = if end == bytes.len() { 0 } else { end };
                let refused = wire.chunk("PATCH", &at, (out, out + 1_021), &bytes[out..out + 1_021]).await;
                assert_eq!(refused.status, 416, "{start}");
                let status = wire.get(&format!("GET {at}")).await;
                let stands = format!("0-{}", start.max(1) - 1);
                assert_eq!((status.status, status.header("range")), (204, Some(stands.as_str())));
                at = status.header("location").unwrap().to_owned();
                if ends_with_chunk && end == bytes.len() {
                    break;
                }
                let sent = wire.chunk("PATCH", &at, (start, end), &bytes[start..end]).await;
                assert_eq!(sent.status, 202);
                at = sent.header("location").unwrap().to_owned();
            }
            let put = format!("{at}?digest={digest}");
            let stored = if ends_with_chunk {
                wire.chunk("PUT", &put, (2_046, 3_067), &bytes[2_046..]).await
            } else {
                wire.get(&format!("PUT {put}")).await
            };
            is_stored(wire, &stored, &digest, &bytes).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_wrong_digest_is_refused_in_every_way_of_pushing() {
    walk(async |wire: &Wire| {
        for algorithm in ALGORITHMS {
            let (digest, mut bytes) = content(algorithm, "right", 99);
            bytes.extend_from_slice(b"oh no");
            let post = format!("POST /v2/walk/one/blobs/uploads/?digest={digest}");
            assert_eq!(wire.ask(&post, &[OCTETS], &bytes).await.status, 400);
            let put = format!("PUT {}?digest={digest}", wire.start().await);
            assert_eq!(wire.ask(&put, &[OCTETS], &bytes).await.status, 400);
            let upload = wire.start().await;
            assert_eq!(wire.chunk("PATCH", &upload, (0, 104), &bytes).await.status, 202);
            assert_eq!(wire.get(&format!("PUT {upload}?digest={digest}")).await.status, 400);
            assert_eq!(wire.get(&format!("HEAD /v2/walk/one/blobs/{digest}")).await.status, 404);
        }
        let upload = wire.start().await;
        assert_eq!(wire.get(&format!("DELETE {upload}")).await.status, 204);
        assert_eq!(wire.get(&format!("GET {upload}")).await.status, 404);
        for request in ["PUT /v2/walk/one/manifests/sha256:bad", "GET /v2/walk/one/manifests/sha256:bad"] {
            assert_eq!(wire.ask(request, &[("content-type", IMAGE)], "{}").await.status, 400, "{request}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_blob_can_be_mounted_from_where_it_is_and_from_wherever_it_is() {
    walk(async |wire: &Wire| {
        for algorithm in ALGORITHMS {
            for from in ["&from=walk/two", ""] {
                let (digest, bytes) = content(algorithm, "mounted", 512);
                let mount = format!("POST /v2/walk/one/blobs/uploads/?mount={digest}{from}");
                let missing = wire.get(&mount).await;
                assert_eq!(missing.status, 202);
                let put = format!("PUT {}?digest={digest}", missing.header("location").unwrap());
                is_stored(wire, &wire.ask(&put, &[OCTETS], &bytes).await, &digest, &bytes).await;
                let post = format!("POST /v2/walk/two/blobs/uploads/?digest={digest}");
                assert_eq!(wire.ask(&post, &[OCTETS], &bytes).await.status, 201);
                is_stored(wire, &wire.get(&mount).await, &digest, &bytes).await;
                wire.delete(&format!("/v2/walk/two/blobs/{digest}")).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_part_of_a_blob_can_be_had() {
    walk(async |wire: &Wire| {
        let (digest, bytes) = content(Algorithm::Sha256, "ranges", 2_048);
        let post = format!("POST /v2/walk/one/blobs/uploads/?digest={digest}");
        assert_eq!(wire.ask(&post, &[OCTETS], &bytes).await.status, 201);
        for (range, start, end) in
            [("500-1499", 500, 1_500), ("500-", 500, 2_048), ("-500", 1_548, 2_048), ("2000-5000", 2_000, 2_048)]
        {
            let get = format!("GET /v2/walk/one/blobs/{digest}");
            let part = wire.ask(&get, &[("range", &format!("bytes={range}"))], "").await;
            assert_eq!((part.status, part.body.as_slice()), (206, &bytes[start..end]), "{range}");
            let told = format!("bytes {start}-{}/2048", end - 1);
            assert_eq!(part.header("content-range"), Some(told.as_str()));
        }
        for range in ["bytes=500-0", "bytes=5000-10000"] {
            let bad = wire.ask(&format!("GET /v2/walk/one/blobs/{digest}"), &[("range", range)], "").await;
            assert_eq!((bad.status, bad.header("content-range")), (416, Some("bytes */2048")), "{range}");
        }
    })
    .await;
}

/// A descriptor as a manifest holds it.
fn descriptor(kind: &str, algorithm: Algorithm, bytes: &[u8]) -> Value {
    let digest = algorithm.digest(bytes).unwrap();
    serde_json::to_value(Descriptor::new(MediaType::from(kind), digest, bytes.len() as u64)).unwrap()
}

fn image(algorithm: Algorithm, more: &Value) -> Vec<u8> {
    let layer = descriptor("application/vnd.oci.image.layer.v1.tar", algorithm, b"layer");
    let config = descriptor("application/vnd.oci.image.config.v1+json", algorithm, b"{}");
    document(&json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [layer]}), more)
}

fn index(children: &[Value], more: &Value) -> Vec<u8> {
    document(&json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}), more)
}

fn document(base: &Value, more: &Value) -> Vec<u8> {
    let mut document = base.clone();
    for (name, value) in more.as_object().into_iter().flatten() {
        document[name] = value.clone();
    }
    serde_json::to_vec(&document).unwrap()
}

/// Every kind of document that has to be taken, with its algorithm.
fn documents() -> Vec<(&'static str, Algorithm, &'static str, Vec<u8>)> {
    let mut documents = Vec::new();
    let large: serde_json::Map<_, _> = (0..390).map(|at| (format!("a{at}"), "A".repeat(10_000).into())).collect();
    let layer = |kind: &str, bytes: &[u8]| descriptor(kind, Algorithm::Sha256, bytes);
    let mut data = layer("application/vnd.oci.image.config.v1+json", b"{}");
    data["data"] = "e30=".into();
    let mut foreign = layer("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", b"elsewhere");
    foreign["urls"] = json!(["https://store.example.com/elsewhere"]);
    let empty = layer("application/vnd.oci.empty.v1+json", b"{}");
    let absent = layer(IMAGE, b"absent");
    let variants = [
        ("image", json!({})),
        ("large", json!({"annotations": large})),
        ("artifact", json!({"artifactType": "application/vnd.example", "config": empty})),
        ("no layers", json!({"layers": []})),
        ("data", json!({"config": data})),
        ("layers elsewhere", json!({"layers": [foreign]})),
        ("fields of others", json!({"org.example.field": {"deep": [1, 2.5]}})),
        ("subject missing", json!({"subject": absent})),
        ("layer missing", json!({"layers": [layer("application/vnd.oci.image.layer.v1.tar", b"absent")]})),
    ];
    for (name, more) in &variants {
        documents.push((*name, Algorithm::Sha256, IMAGE, image(Algorithm::Sha256, more)));
    }
    for algorithm in ALGORITHMS {
        let child = image(algorithm, &json!({"annotations": {"child": "yes"}}));
        let listed = descriptor(IMAGE, algorithm, &child);
        let inner = index(std::slice::from_ref(&listed), &json!({}));
        let nested =
            index(&[descriptor(INDEX, algorithm, &inner)], &json!({"artifactType": "application/vnd.example"}));
        documents.extend([("child", algorithm, IMAGE, child), ("index", algorithm, INDEX, inner)]);
        documents.push(("nested index", algorithm, INDEX, nested));
    }
    documents.push(("empty index", Algorithm::Sha256, INDEX, index(&[], &json!({}))));
    documents.push(("child missing", Algorithm::Sha256, INDEX, index(&[absent], &json!({}))));
    documents
}

#[tokio::test]
async fn every_kind_of_manifest_is_taken_listed_read_and_deleted() {
    walk(async |wire: &Wire| {
        for (algorithm, bytes) in ALGORITHMS.into_iter().flat_map(|one| [(one, "{}"), (one, "layer")]) {
            let digest = algorithm.digest(bytes.as_bytes()).unwrap();
            let post = format!("POST /v2/walk/one/blobs/uploads/?digest={digest}");
            assert_eq!(wire.ask(&post, &[OCTETS], bytes).await.status, 201);
        }
        let documents = documents();
        let mut names = Vec::new();
        for (at, (name, algorithm, kind, bytes)) in documents.iter().enumerate() {
            let digest = algorithm.digest(bytes).unwrap();
            let tags = [format!("t{at:02}-a"), format!("t{at:02}-b")];
            let put = wire.put(&format!("{digest}?tag={}&tag={}", tags[0], tags[1]), kind, bytes).await;
            assert_eq!(put.header("docker-content-digest"), Some(digest.as_str()), "{name}");
            let taken: Vec<_> = put.head.lines().filter_map(|line| line.strip_prefix("oci-tag: ")).collect();
            assert_eq!(taken, tags, "{name}");
            for tag in [&tags[0], &tags[1], digest.as_str()] {
                let head = wire.get(&format!("HEAD /v2/walk/one/manifests/{tag}")).await;
                let told = (head.status, head.header("docker-content-digest"), head.header("content-type"));
                assert_eq!(told, (200, Some(digest.as_str()), Some(*kind)), "{name} {tag}");
                assert_eq!(head.header("content-length"), Some(bytes.len().to_string().as_str()), "{name}");
            }
            names.extend(tags);
        }
        assert_eq!(wire.get("GET /v2/walk/one/tags/list").await.json()["tags"], json!(names));
        let (front, rest) = names.split_at(names.len() / 2);
        let half = wire.get(&format!("GET /v2/walk/one/tags/list?last={}", front[front.len() - 1])).await;
        assert_eq!(half.json()["tags"], json!(rest));
        for name in &names {
            wire.delete(&format!("/v2/walk/one/manifests/{name}")).await;
        }
        for (_, algorithm, _, bytes) in documents.iter().rev() {
            wire.delete(&format!("/v2/walk/one/manifests/{}", algorithm.digest(bytes).unwrap())).await;
        }
        for (algorithm, bytes) in ALGORITHMS.into_iter().flat_map(|one| [(one, "{}"), (one, "layer")]) {
            wire.delete(&format!("/v2/walk/one/blobs/{}", algorithm.digest(bytes.as_bytes()).unwrap())).await;
        }
    })
    .await;
}

#[tokio::test]
async fn referrers_are_listed_whole_and_by_their_type() {
    walk(async |wire: &Wire| {
        for bytes in ["{}", "layer"] {
            let post = format!("POST /v2/walk/one/blobs/uploads/?digest={}", Digest::of(bytes.as_bytes()));
            assert_eq!(wire.ask(&post, &[OCTETS], bytes).await.status, 201);
        }
        let subject = image(Algorithm::Sha256, &json!({}));
        let named = descriptor(IMAGE, Algorithm::Sha256, &subject);
        let of = format!("/v2/walk/one/referrers/{}", Digest::of(&subject));
        let before = wire.get(&format!("GET {of}")).await;
        assert_eq!((before.status, before.header("content-type")), (200, Some(INDEX)));
        assert_eq!((&before.json()["mediaType"], &before.json()["manifests"]), (&json!(INDEX), &json!([])));
        wire.put(Digest::of(&subject).as_str(), IMAGE, &subject).await;
        let annotations = json!({"org.example.note": "kept"});
        for (kind, artifact_type) in
            [(IMAGE, "application/vnd.a"), (IMAGE, "application/vnd.b"), (INDEX, "application/vnd.b")]
        {
            let more = json!({"subject": named, "artifactType": artifact_type, "annotations": annotations});
            let referrer = if kind == IMAGE { image(Algorithm::Sha256, &more) } else { index(&[], &more) };
            let put = wire.put(Digest::of(&referrer).as_str(), kind, &referrer).await;
            assert_eq!(put.header("oci-subject"), named["digest"].as_str());
        }
        for (query, filter, count) in [("", None, 3), ("?artifactType=application/vnd.b", Some("artifactType"), 2)] {
            let listed = wire.get(&format!("GET {of}{query}")).await;
            assert_eq!(listed.header("oci-filters-applied"), filter);
            let listed = listed.json()["manifests"].as_array().unwrap().clone();
            assert!(listed.iter().all(|referrer| referrer["annotations"] == annotations), "{listed:?}");
            assert_eq!(listed.len(), count);
        }
    })
    .await;
}
