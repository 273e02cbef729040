//! Questions to the API server about a caller: `TokenReview` and `SubjectAccessReview`.

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

use super::identity::Identity;

/// What a caller wants to read: one entry of a `SubjectAccessReview`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Access {
    /// `get`, for custom metrics.
    pub verb: &'static str,
    /// The API group.
    pub group: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The namespace of what is described.
    pub namespace: String,
    /// What is described: `pods`.
    pub resource: &'static str,
    /// The metric.
    pub subresource: &'static str,
    /// Its name, or `*`.
    pub name: String,
}

/// Why there is no verdict.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReviewError {
    /// The API server could not be asked, or refused the question.
    #[error(
        "cannot ask the API server: {0}; the adapter needs the ClusterRole system:auth-delegator"
    )]
    AskServer(String),
    /// It did not answer in time.
    #[error("the API server does not answer")]
    OutOfTime,
}

/// Who can tell about callers: the API server, or a stand-in in tests.
#[async_trait]
pub trait Reviewer: Debug + Send + Sync {
    /// Whose token this is; none when it is nobody's.
    async fn identify(&self, token: &str) -> Result<Option<Identity>, ReviewError>;

    /// Whether a caller may read something.
    async fn may(&self, caller: &Identity, access: &Access) -> Result<bool, ReviewError>;
}

/// Asks the API server of the cluster.
#[derive(Clone)]
pub struct ClusterReviewer {
    client: Client,
}

impl ClusterReviewer {
    /// Asks with the rights of `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Debug for ClusterReviewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClusterReviewer")
    }
}

#[async_trait]
impl Reviewer for ClusterReviewer {
    async fn identify(&self, token: &str) -> Result<Option<Identity>, ReviewError> {
        let question = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences: None,
            },
            ..TokenReview::default()
        };
        let reviews: Api<TokenReview> = Api::all(self.client.clone());
        let answer = reviews.create(&PostParams::default(), &question).await;
        let status = answer.map_err(ask_error)?.status.unwrap_or_default();
        let known = status.authenticated == Some(true);
        Ok(status.user.filter(|_| known).and_then(identity))
    }

    async fn may(&self, caller: &Identity, access: &Access) -> Result<bool, ReviewError> {
        let question = SubjectAccessReview {
            spec: specification(caller, access),
            ..SubjectAccessReview::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answer = reviews.create(&PostParams::default(), &question).await;
        let status = answer.map_err(ask_error)?.status.unwrap_or_default();
        Ok(status.allowed && status.denied != Some(true))
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "map_err hands the error over by value"
)]
fn ask_error(error: kube::Error) -> ReviewError {
    ReviewError::AskServer(error.to_string())
}

fn identity(user: UserInfo) -> Option<Identity> {
    Some(Identity {
        user: user.username.filter(|name| !name.is_empty())?,
        uid: user.uid.filter(|uid| !uid.is_empty()),
        groups: user.groups.unwrap_or_default(),
        extra: user.extra.unwrap_or_default(),
    })
}

fn specification(caller: &Identity, access: &Access) -> SubjectAccessReviewSpec {
    SubjectAccessReviewSpec {
        user: Some(caller.user.clone()),
        uid: caller.uid.clone(),
        groups: Some(caller.groups.clone()),
        extra: Some(caller.extra.clone()).filter(|extra| !BTreeMap::is_empty(extra)),
        resource_attributes: Some(ResourceAttributes {
            verb: Some(access.verb.to_owned()),
            group: Some(access.group.to_owned()),
            version: Some(access.version.to_owned()),
            namespace: Some(access.namespace.clone()),
            resource: Some(access.resource.to_owned()),
            subresource: Some(access.subresource.to_owned()),
            name: Some(access.name.clone()),
            ..ResourceAttributes::default()
        }),
        non_resource_attributes: None,
    }
}
