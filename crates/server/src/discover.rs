//! Handlers: content discovery. Listings, page by page.
//!
//! This file decides how long a page may be (R1): as long as was asked for, up to a cap, and never a byte reserved for a
//! number that somebody sent. A page of referrers is bounded in bytes as well, for each entry carries annotations that its
//! pusher chose.

use std::collections::BTreeMap;

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
    let (tags, next) = gather(listing, page, served.options.tags_page).await?;
    let next = next.map(|page| Endpoint::Tags { repo: repo.clone(), page });
    let body = TagList { name: repo.as_str().to_owned(), tags };
    paged(next.as_ref()).json(&body)
}

/// `GET /v2/_catalog`.
pub(crate) async fn repositories(served: &Served, page: &Page) -> Result<Response> {
    let after: Option<RepositoryName> = after(page)?;
    let listing = served.registry.repositories(after.as_ref());
    let (repositories, next) = gather(listing, page, served.options.repositories_page).await?;
    let next = next.map(|page| Endpoint::Repositories { page });
    paged(next.as_ref()).json(&RepositoryList { repositories })
}

/// end-12. Whoever has no referrers has an empty index of them, repository or not.
pub(crate) async fn referrers(
    served: &Served,
    repo: &RepositoryName,
    subject: &Digest,
    artifact_type: Option<&MediaType>,
    page: &Page,
) -> Result<Response> {
    let most = page.n.unwrap_or(u32::MAX).min(served.options.referrers_page) as usize;
    let mut gathered = Referrers::new(after(page)?, most, served.options.referrers_bytes);
    gathered.gather(served.registry.referrers(repo, subject, artifact_type)).await?;
    let next = gathered.next().map(|last| Endpoint::Referrers {
        repo: repo.clone(),
        digest: subject.clone(),
        artifact_type: artifact_type.cloned(),
        page: Page { n: page.n, last: Some(last.to_string()) },
    });
    let index = Index::new(gathered.page.into_values().map(|(referrer, _)| referrer).collect()).to_raw();
    let mut reply = paged(next.as_ref()).header(header::CONTENT_TYPE, MediaType::OCI_INDEX.as_str());
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

/// One page of referrers by digest, whatever order they come in: the lowest digests after `after`. No more than a page is
/// ever held, however many there are (M11).
struct Referrers {
    after: Option<Digest>,
    most: usize,
    bytes: usize,
    page: BTreeMap<Digest, (Descriptor, usize)>,
    size: usize,
    is_cut: bool,
}

impl Referrers {
    fn new(after: Option<Digest>, most: usize, bytes: usize) -> Self {
        Self { after, most, bytes, page: BTreeMap::new(), size: 0, is_cut: false }
    }

    async fn gather(&mut self, mut listing: BoxStream<'static, Result<Descriptor>>) -> Result<()> {
        while let Some(referrer) = listing.next().await {
            match referrer {
                Ok(referrer) => self.add(referrer)?,
                Err(error) if error.kind() == ErrorKind::RepositoryUnknown => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn add(&mut self, referrer: Descriptor) -> Result<()> {
        if self.after.as_ref().is_some_and(|after| referrer.digest <= *after) {
            return Ok(());
        }
        let json = serde_json::to_vec(&referrer)
            .map_err(|source| Error::new(ErrorKind::Protocol, "list referrers: no JSON").with_source(source))?;
        self.size += json.len();
        if let Some((_, size)) = self.page.insert(referrer.digest.clone(), (referrer, json.len())) {
            self.size -= size;
        }
        // One goes on the page whatever its size: else the listing would never get past it.
        while self.page.len() > self.most || (self.size > self.bytes && self.page.len() > 1) {
            let Some((_, (_, size))) = self.page.pop_last() else { break };
            self.size -= size;
            self.is_cut = true;
        }
        Ok(())
    }

    /// The digest after which the next page begins, if there is one.
    fn next(&self) -> Option<&Digest> {
        self.page.last_key_value().map(|(digest, _)| digest).filter(|_| self.is_cut)
    }
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

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn referrer(content: &str) -> Descriptor {
        Descriptor::of(MediaType::OCI_MANIFEST, content.as_bytes())
    }

    #[tokio::test]
    async fn a_repository_that_is_not_there_has_no_referrers() {
        let of = |kind| stream::iter([Err(Error::new(kind, "x"))]).boxed();
        let mut none = Referrers::new(None, 5, 5);
        none.gather(of(ErrorKind::RepositoryUnknown)).await.unwrap();
        assert!(none.page.is_empty() && none.next().is_none());
        assert_eq!(none.gather(of(ErrorKind::Unavailable)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    /// M11: in whatever order they come, pages are in order, complete, and never hold more than a page.
    #[test]
    fn pages_of_referrers_hold_every_one_once_and_no_more_than_a_page() {
        let all: Vec<Descriptor> = (0..50).map(|at| referrer(&at.to_string())).collect();
        let one = serde_json::to_vec(&all[0]).unwrap().len();
        for (most, bytes, pages) in [(50, usize::MAX, 1), (7, usize::MAX, 8), (50, 10 * one, 5), (50, 0, 50)] {
            let (mut seen, mut after, mut count) = (Vec::new(), None, 0);
            loop {
                let mut page = Referrers::new(after, most, bytes);
                for referrer in all.iter().chain(&all) {
                    page.add(referrer.clone()).unwrap();
                    assert!(page.page.len() <= most && (page.size <= bytes || page.page.len() == 1));
                }
                count += 1;
                seen.extend(page.page.keys().cloned());
                after = page.next().cloned();
                if after.is_none() {
                    break;
                }
            }
            let mut expected: Vec<Digest> = all.iter().map(|referrer| referrer.digest.clone()).collect();
            expected.sort();
            assert_eq!((seen, count), (expected, pages), "{most} {bytes}");
        }
    }
}
