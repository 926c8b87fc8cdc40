//! Tags: every one of them, however the registry cuts its pages.

use futures_util::TryStreamExt;
use gantri::{ErrorKind, Tag};
use test_support::{Reply, ScriptedServer};

use crate::world::{at, client};

fn page(tags: &str) -> Reply {
    Reply::ok(format!(r#"{{"name":"team/app","tags":{tags}}}"#)).header("content-type", "application/json")
}

async fn tags(server: &ScriptedServer) -> gantri::Result<Vec<String>> {
    let listed: Vec<Tag> = client().tags(&at(&server.host(), "")).await?.try_collect().await?;
    Ok(listed.iter().map(ToString::to_string).collect())
}

/// O32: what is next is for `Link` to say: a short page, or an empty one, is not the last.
#[tokio::test]
async fn pages_are_followed_until_the_link_ends() {
    let server = ScriptedServer::start(|asked| match asked.target.as_str() {
        "/v2/team/app/tags/list" => {
            page(r#"["a","b"]"#).header("link", r#"</v2/team/app/tags/list?last=b&n=2>; rel="next""#)
        }
        "/v2/team/app/tags/list?last=b&n=2" => page(r#"["c"]"#).header("link", r#"<?last=c&n=2>; rel="next""#),
        "/v2/team/app/tags/list?last=c&n=2" => page(r#"["d","e"]"#),
        other => panic!("{other}"),
    });
    assert_eq!(tags(&server).await.unwrap(), ["a", "b", "c", "d", "e"]);
    assert_eq!(server.requests().len(), 3);
}

/// O32: `tags: null` is no tag, and no error.
#[tokio::test]
async fn a_null_list_is_an_empty_one() {
    let server = ScriptedServer::start(|_| page("null"));
    assert_eq!(tags(&server).await.unwrap(), [""; 0]);
}

/// C17: a registry that leads in a circle is not followed for ever.
#[tokio::test]
async fn a_circle_of_pages_is_an_error() {
    let server = ScriptedServer::start(|_| page(r#"["a"]"#).header("link", r#"</v2/team/app/tags/list>; rel="next""#));
    assert_eq!(tags(&server).await.unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(server.requests().len(), 1);
}
