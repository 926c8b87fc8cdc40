//! Handlers: content discovery. Listings, page by page.
//!
//! This file decides how long a page may be (R1): as long as was asked for, up to a cap, and never a byte reserved for a
//! number that somebody sent.

use futures_util::stream::{BoxStream, StreamExt};
use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::wire::{Endpoint, Page, RepositoryList, TagList, link};
use gantri_spec::{Descriptor, Digest, Index, MediaType, RepositoryName, Tag};
use http::{StatusCode, header};

use crate::respond::{FILTERS_APPLIED, Reply, Response};
use crate::service::Served;

/// end-8.
pub(crate) async fn tags(served: &Served, repo: &RepositoryName, page: &Page) -> Result<Response> {
    let after: Option<Tag> = after(page)?;
    let listing = served.registry.tags(repo, after.as_ref());
    let (tags, next) = gather(listing, page, TAGS_A_PAGE).await?;
    let next = next.map(|page| Endpoint::Tags { repo: repo.clone(), page });
    let body = TagList { name: repo.as_str().to_owned(), tags };
    paged(next.as_ref()).json(&body)
}

/// `GET /v2/_catalog`.
pub(crate) async fn repositories(served: &Served, page: &Page) -> Result<Response> {
    let after: Option<RepositoryName> = after(page)?;
    let listing = served.registry.repositories(after.as_ref());
    let (repositories, next) = gather(listing, page, REPOSITORIES_A_PAGE).await?;
    let next = next.map(|page| Endpoint::Repositories { page });
    paged(next.as_ref()).json(&RepositoryList { repositories })
}

/// end-12. Whoever has no referrers has an empty index of them, repository or not.
pub(crate) async fn referrers(
    served: &Served,
    repo: &RepositoryName,
    subject: &Digest,
    artifact_type: Option<&MediaType>,
) -> Result<Response> {
    let referrers = served.registry.referrers(repo, subject, artifact_type);
    let index = Index::new(gather_referrers(referrers).await?).to_raw();
    let mut reply = Reply::new(StatusCode::OK).header(header::CONTENT_TYPE, MediaType::OCI_INDEX.as_str());
    if artifact_type.is_some() {
        reply = reply.header(FILTERS_APPLIED, "artifactType");
    }
    reply.bytes(index.bytes().clone())
}

/// One page of a listing, and the page that follows it if there is one. A page of nothing is followed by none.
async fn gather<T: ToString>(
    mut listing: BoxStream<'static, Result<T>>,
    page: &Page,
    cap: u32,
) -> Result<(Vec<String>, Option<Page>)> {
    let most = page.n.unwrap_or(cap).min(cap) as usize;
    let mut items: Vec<String> = Vec::new();
    while let Some(item) = listing.next().await.transpose()? {
        if items.len() == most {
            let next = items.last().map(|last| Page { n: page.n, last: Some(last.clone()) });
            return Ok((items, next));
        }
        items.push(item.to_string());
    }
    Ok((items, None))
}

async fn gather_referrers(mut listing: BoxStream<'static, Result<Descriptor>>) -> Result<Vec<Descriptor>> {
    let mut referrers = Vec::new();
    while let Some(referrer) = listing.next().await {
        match referrer {
            Ok(_) if referrers.len() == REFERRERS => {
                return Err(Error::limit("list referrers", "referrers", REFERRERS));
            }
            Ok(referrer) => referrers.push(referrer),
            Err(error) if error.kind() == ErrorKind::RepositoryUnknown => break,
            Err(error) => return Err(error),
        }
    }
    Ok(referrers)
}

/// Where a page begins. A name that is none comes after nothing.
fn after<T: std::str::FromStr<Err: std::fmt::Display>>(page: &Page) -> Result<Option<T>> {
    let last = page.last.as_deref().filter(|last| !last.is_empty());
    last.map(str::parse).transpose().map_err(|why| Error::new(ErrorKind::NameInvalid, format!("page after: {why}")))
}

fn paged(next: Option<&Endpoint>) -> Reply {
    let reply = Reply::new(StatusCode::OK);
    match next {
        Some(next) => reply.header(header::LINK, link::format_next(&next.target())),
        None => reply,
    }
}

/// The longest page of tags, and the one who names no size gets (R1).
const TAGS_A_PAGE: u32 = 10_000;
/// The same for repositories (R1).
const REPOSITORIES_A_PAGE: u32 = 1_000;
/// Manifests that one answer lists as referring to a subject (M11).
const REFERRERS: usize = 10_000;

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, repeat_with};

    use super::*;

    #[tokio::test]
    async fn a_repository_that_is_not_there_has_no_referrers() {
        let of = |kind| gather_referrers(stream::iter([Err(Error::new(kind, "x"))]).boxed());
        assert_eq!(of(ErrorKind::RepositoryUnknown).await.unwrap(), []);
        assert_eq!(of(ErrorKind::Unavailable).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    /// M11.
    #[tokio::test]
    async fn referrers_without_end_are_an_error_and_no_answer() {
        let one = Descriptor::of(MediaType::OCI_MANIFEST, b"");
        let endless = repeat_with(move || Ok(one.clone())).boxed();
        assert_eq!(gather_referrers(endless).await.unwrap_err().kind(), ErrorKind::LimitExceeded);
    }
}
