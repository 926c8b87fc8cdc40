//! Layers that say of themselves where else they are to be had: nobody goes there (A1).

use std::sync::Arc;

use gantri::spec::MediaType;
use gantri::{Client, Credential, Extent, Foreign, Layout, Location};
use test_support::{Image, Reply, ScriptedServer};

use crate::world::{Embedded, at, image, layout, repo};

const FORMS: [&str; 6] = [
    "http://HOST/layer",
    "http://me:pw@HOST/layer",
    "https://HOST/layer",
    "//HOST/layer",
    "HOST/layer",
    "http://169.254.169.254/",
];

/// The image, whose layers are of this type and name the other host in every form.
fn leading(to: &ScriptedServer, media_type: Option<&MediaType>) -> Image {
    image(2).saying(|manifest| {
        for layer in &mut manifest.layers {
            layer.urls = FORMS.iter().map(|form| form.replace("HOST", &to.host())).collect();
            if let Some(media_type) = media_type {
                layer.media_type = media_type.clone();
            }
        }
    })
}

/// A1: the other host asks for credentials and would get them, if it were ever asked: by a pull, an unpack or a copy, with
/// the layers there and missing. Whether they are there decides how each of these ends.
#[tokio::test]
async fn what_a_layer_names_is_never_visited() {
    let bait = ScriptedServer::start(|_| {
        Reply::new(401).header("www-authenticate", r#"Basic realm="foreign""#).header("location", "/again")
    });
    for media_type in [None, Some(MediaType::DOCKER_LAYER_FOREIGN_GZIP)] {
        for is_there in [true, false] {
            let image = leading(&bait, media_type.as_ref());
            let layers: Vec<_> = image.parsed.layers.iter().map(|layer| layer.digest.to_string()).collect();
            let server = image.serve(move |_, asked| {
                if asked.header("authorization").is_none() {
                    return Some(Reply::new(401).header("www-authenticate", r#"Basic realm="registry""#));
                }
                let missing = !is_there && layers.iter().any(|layer| asked.target.ends_with(layer));
                missing.then(|| Reply::new(404))
            });
            let me = Arc::new(Credential::basic("me", "canary"));
            let client = Client::builder().credentials(me).build().unwrap();
            let (home, target) = (tempfile::tempdir().unwrap(), Embedded::start().await);
            let source = at(&server.host(), ":v1");
            let pulled = client.pull(&source, &layout(&home)).await;
            let unpacked = client.unpack(&source, &home.path().join("tree")).await;
            let copied: Location = format!("{}/{}:v1", target.host, repo()).parse().unwrap();
            for foreign in [Foreign::Leave, Foreign::Bring] {
                let extent = Extent::default().foreign(foreign);
                let copied = client.copy(&[(source.clone(), copied.clone())], &extent).await;
                assert!(copied.is_ok() || !is_there, "{media_type:?} {foreign:?}: {copied:?}");
            }
            let name = format!("{media_type:?} {is_there}");
            // A layer that says of itself that it is kept elsewhere is left there.
            let is_whole = is_there || media_type.is_some();
            assert_eq!(pulled.is_ok(), is_whole, "{name}: {pulled:?}");
            assert!(unpacked.is_ok() || !is_there || media_type.is_some(), "{name}: {unpacked:?}");
            let into = Layout::open(home.path().join("layout")).await;
            assert_eq!(into.is_ok(), is_whole, "{name}");
            assert!(server.requests().iter().any(|asked| asked.header("authorization").is_some()), "{name}");
        }
    }
    assert!(bait.requests().is_empty(), "{:?}", bait.requests());
}
