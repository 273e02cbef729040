//! The namespaces whose pipelines are the operator's own.

use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};

/// A namespace, or all of them.
pub(super) struct Scope {
    client: Client,
    namespace: Option<String>,
}

impl Scope {
    /// Its name; none for all.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The objects of a kind in it.
    pub(super) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType: Default>,
    {
        let client = self.client.clone();
        match &self.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }
}

/// One of each of `namespaces`; where none is named, one of all, which one watch of a kind is for.
pub(super) fn scopes(client: &Client, namespaces: &[String]) -> Vec<Scope> {
    let scope = |namespace| Scope {
        client: client.clone(),
        namespace,
    };
    if namespaces.is_empty() {
        return vec![scope(None)];
    }
    let namespaces = namespaces.iter().cloned().map(Some);
    namespaces.map(scope).collect()
}
