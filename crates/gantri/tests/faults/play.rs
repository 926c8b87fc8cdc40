//! Each operation, done once by a client, and looked at: what was given must be right, and what was stored must be there.

use futures_util::{StreamExt, TryStreamExt};
use gantri::Result;
use gantri_core::{BlobBody, Discover, Manage, Mount, Pull, Push, send_body};
use gantri_spec::{ByteRange, Descriptor, Digest, MediaType, Selector};
use test_support::fault::Operation;

use crate::world::{Content, World};

/// Does it; `Ok` holds what is wrong with the result, if anything is.
pub(crate) async fn play(world: &World, operation: Operation) -> Result<Option<&'static str>> {
    let Content { repo, other, blob, new_blob, manifest, new_manifest, tags, referrers } = Content::get();
    let tag = Selector::Tag("tag-00".parse().unwrap());
    let remote = &world.remote;
    let wrong = |is_right: bool, what| (!is_right).then_some(what);
    Ok(match operation {
        Operation::Ping => remote.ping().await.map(|_| None)?,
        Operation::Token | Operation::Resolve => {
            let descriptor = remote.resolve_manifest(repo, &tag).await?;
            // Its size is what the registry says: nobody knows better before the bytes come (M7).
            let expected = manifest.descriptor();
            let is_right = (&descriptor.digest, &descriptor.media_type) == (&expected.digest, &expected.media_type);
            wrong(is_right, "another descriptor")
        }
        Operation::PullManifest => wrong(remote.manifest(repo, &tag).await?.bytes() == manifest.bytes(), "other bytes"),
        Operation::PullBlob => {
            let reader = remote.blob(repo, &Digest::of(blob), ByteRange::Full).await?;
            wrong(reader.bytes(1 << 20).await? == *blob, "other bytes")
        }
        Operation::PushMonolithic => {
            let descriptor = Descriptor::of(MediaType::OCTET_STREAM, new_blob);
            remote.put_blob(repo, &descriptor, BlobBody::bytes(new_blob.clone())).await?;
            wrong(holds(world, &descriptor).await, "the blob is not there")
        }
        Operation::PushChunked => {
            let descriptor = Descriptor::of(MediaType::OCTET_STREAM, new_blob);
            let pieces: Vec<_> = new_blob.chunks(10_000).map(|piece| Ok(new_blob.slice_ref(piece))).collect();
            let body = BlobBody::once(futures_util::stream::iter(pieces).boxed());
            remote.put_blob(repo, &descriptor, body).await?;
            wrong(holds(world, &descriptor).await, "the blob is not there")
        }
        Operation::Mount => {
            let descriptor = Descriptor::of(MediaType::OCTET_STREAM, new_blob);
            let body = BlobBody::bytes(new_blob.clone());
            match remote.mount_blob(repo, &descriptor.digest, Some(other)).await? {
                Mount::Mounted => {}
                Mount::Started(upload) => send_body(upload, &descriptor, body, &Default::default()).await?,
                _ => remote.put_blob(repo, &descriptor, body).await?,
            }
            wrong(holds(world, &descriptor).await, "the blob is not there")
        }
        Operation::PushManifest => {
            let tag = "new".parse().unwrap();
            remote.put_manifest(repo, new_manifest, std::slice::from_ref(&tag)).await?;
            let stored = world.registry.manifest(repo, &Selector::Tag(tag)).await;
            wrong(stored.is_ok_and(|stored| stored.bytes() == new_manifest.bytes()), "the manifest is not there")
        }
        Operation::Tags => {
            let listed: Vec<_> = remote.tags(repo, None).try_collect().await?;
            let expected: Vec<_> = (0..*tags).map(|tag| format!("tag-{tag:02}")).collect();
            let found: Vec<_> = listed.iter().map(|tag| tag.as_str().to_owned()).filter(|tag| tag.len() < 20).collect();
            wrong(found == expected, "some tags are missing, or too many")
        }
        Operation::Referrers => {
            let found: Vec<_> = remote.referrers(repo, manifest.digest(), None).try_collect().await?;
            wrong(found.len() == *referrers, "some referrers are missing, or too many")
        }
        Operation::Delete => {
            remote.delete_manifest(repo, manifest.digest()).await?;
            wrong(world.registry.manifest(repo, &tag).await.is_err(), "the manifest is still there")
        }
    })
}

async fn holds(world: &World, blob: &Descriptor) -> bool {
    let Content { repo, new_blob, .. } = Content::get();
    let Ok(reader) = world.registry.blob(repo, &blob.digest, ByteRange::Full).await else { return false };
    reader.bytes(1 << 20).await.is_ok_and(|bytes| bytes == *new_blob)
}
