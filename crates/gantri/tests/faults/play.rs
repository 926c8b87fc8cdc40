//! Each operation, done once by a client, and looked at: what was given must be right, and what was stored must be there.

use futures_util::{StreamExt, TryStreamExt};
use gantri::{Limits, Remote, Result};
use gantri_core::{BlobBody, Discover, Manage, Mount, Pull, Push, send_body};
use gantri_spec::{ByteRange, Descriptor, Digest, MediaType, Selector, Tag};
use test_support::fault::Operation;

use crate::world::{Content, World};

/// Does it; `Ok` holds what is wrong with the result, if anything is.
pub(crate) async fn play(world: &World, operation: Operation) -> Result<Option<&'static str>> {
    let Content { repo, blob, manifest, new_manifest, tags, referrers, .. } = Content::get();
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
        Operation::PushMonolithic | Operation::PushChunked | Operation::Mount => {
            push(remote, operation).await?;
            wrong(holds(world).await, "the blob is not there")
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
            // One more leads to the list of referrers.
            let found: Vec<_> = listed.iter().map(Tag::as_str).filter(|tag| tag.starts_with("tag-")).collect();
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

/// Brings the new blob into the registry: at once, in chunks, or from where it is already.
async fn push(remote: &Remote, operation: Operation) -> Result<()> {
    let Content { repo, other, new_blob, .. } = Content::get();
    let descriptor = Descriptor::of(MediaType::OCTET_STREAM, new_blob);
    let whole = BlobBody::bytes(new_blob.clone());
    match operation {
        Operation::PushChunked => {
            let pieces: Vec<_> = new_blob.chunks(10_000).map(|piece| Ok(new_blob.slice_ref(piece))).collect();
            remote.put_blob(repo, &descriptor, BlobBody::once(futures_util::stream::iter(pieces).boxed())).await
        }
        Operation::Mount => match remote.mount_blob(repo, &descriptor.digest, Some(other)).await? {
            Mount::Mounted => Ok(()),
            Mount::Started(upload) => send_body(upload, &descriptor, whole, &Limits::default()).await,
            _ => remote.put_blob(repo, &descriptor, whole).await,
        },
        _ => remote.put_blob(repo, &descriptor, whole).await,
    }
}

async fn holds(world: &World) -> bool {
    let Content { repo, new_blob, .. } = Content::get();
    let Ok(reader) = world.registry.blob(repo, &Digest::of(new_blob), ByteRange::Full).await else { return false };
    reader.bytes(1 << 20).await.is_ok_and(|bytes| bytes == *new_blob)
}
