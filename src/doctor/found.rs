//! What came of asking the API server for something.

/// An object, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found<T> {
    /// It is there.
    Yes(T),
    /// It is not.
    No,
    /// The person may not look.
    Forbidden,
    /// The API server did not say.
    Unknown(String),
}

impl<T> Found<T> {
    pub(super) fn from_answer(answer: Result<T, kube::Error>) -> Self {
        match answer {
            Ok(object) => Self::Yes(object),
            Err(kube::Error::Api(status)) if status.code == 404 => Self::No,
            Err(kube::Error::Api(status)) if status.code == 403 => Self::Forbidden,
            Err(error) => Self::Unknown(error.to_string()),
        }
    }

    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Found<U> {
        match self {
            Self::Yes(object) => Found::Yes(change(object)),
            Self::No => Found::No,
            Self::Forbidden => Found::Forbidden,
            Self::Unknown(why) => Found::Unknown(why),
        }
    }

    pub(super) fn as_ref(&self) -> Found<&T> {
        match self {
            Self::Yes(object) => Found::Yes(object),
            Self::No => Found::No,
            Self::Forbidden => Found::Forbidden,
            Self::Unknown(why) => Found::Unknown(why.clone()),
        }
    }
}
