//! Interfaces, addresses and routes through rtnetlink.
//! What is already so is fine, and so is taking back what is gone.

mod link;
mod route;

use std::collections::BTreeSet;
use std::io;

use horizon_dataplane::apply::{InterfaceName, Link, Route};
use ipnet::IpNet;
use rtnetlink::packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;

pub(crate) use link::{LinkKind, LinkSeen};

/// A connection to the kernel's routing.
pub struct Netlink {
    handle: Handle,
    connection: JoinHandle<()>,
}

/// Why the kernel's routing did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    #[error("the kernel refused")]
    Refused { source: io::Error },
    #[error("interface {0} does not exist")]
    NoInterface(InterfaceName),
    #[error("interface {0} exists and is not a TUN of ours")]
    Foreign(InterfaceName),
    #[error("another route to {0} exists")]
    RouteTaken(IpNet),
    #[error("netlink is broken: {0}")]
    Broken(String),
}

impl Netlink {
    /// Connects to the network namespace of the calling thread; within a tokio runtime.
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn connect() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        Ok(Self { handle, connection: tokio::spawn(connection) })
    }

    pub(crate) async fn link(&self, name: &InterfaceName) -> Result<Option<LinkSeen>, NetlinkError> {
        let mut answers = Box::pin(self.handle.link().get().match_name(name.as_str()).execute());
        match answers.next().await {
            Some(Ok(message)) => Ok(Some(LinkSeen::from(&message))),
            Some(Err(error)) => absent(NetlinkError::from(error), &[libc::ENODEV]).map(|()| None),
            None => Ok(None),
        }
    }

    /// The interface, which must be a TUN of ours.
    pub(crate) async fn own_link(&self, name: &InterfaceName) -> Result<Option<LinkSeen>, NetlinkError> {
        match self.link(name).await? {
            Some(LinkSeen { kind: LinkKind::Foreign, .. }) => Err(NetlinkError::Foreign(name.clone())),
            other => Ok(other),
        }
    }

    pub(crate) async fn set_link(&self, name: &InterfaceName, link: Link) -> Result<(), NetlinkError> {
        let index = self.index(name).await?;
        let message = LinkUnspec::new_with_index(index).mtu(link.mtu).txqueuelen(link.queue_packets);
        let message = if link.is_up { message.up() } else { message.down() };
        Ok(self.handle.link().set(message.build()).execute().await?)
    }

    pub(crate) async fn remove_link(&self, name: &InterfaceName) -> Result<(), NetlinkError> {
        let Some(link) = self.own_link(name).await? else { return Ok(()) };
        let answer = self.handle.link().del(link.index).execute().await;
        answer.or_else(|error| absent(error.into(), &[libc::ENODEV]))
    }

    pub(crate) async fn add_address(&self, name: &InterfaceName, address: IpNet) -> Result<(), NetlinkError> {
        let index = self.index(name).await?;
        let request = self.handle.address().add(index, address.addr(), address.prefix_len());
        request.execute().await.or_else(|error| absent(error.into(), &[libc::EEXIST]))
    }

    pub(crate) async fn remove_address(
        &self,
        name: &InterfaceName,
        address: IpNet,
    ) -> Result<(), NetlinkError> {
        let Some(link) = self.link(name).await? else { return Ok(()) };
        let mut request = self.handle.address().add(link.index, address.addr(), address.prefix_len());
        let message = request.message_mut().clone();
        let answer = self.handle.address().del(message).execute().await;
        answer.or_else(|error| absent(error.into(), &[libc::EADDRNOTAVAIL, libc::ENODEV]))
    }

    pub(crate) async fn addresses(&self, index: u32) -> Result<BTreeSet<IpNet>, NetlinkError> {
        let mut answers = Box::pin(self.handle.address().get().set_link_index_filter(index).execute());
        let mut addresses = BTreeSet::new();
        while let Some(message) = answers.try_next().await? {
            // On a point-to-point interface the kernel calls the host's own address local.
            let mut address = None;
            for attribute in &message.attributes {
                if let AddressAttribute::Local(local) = attribute {
                    address = Some(*local);
                } else if let AddressAttribute::Address(other) = attribute {
                    address = address.or(Some(*other));
                }
            }
            let prefix = address.and_then(|address| IpNet::new(address, message.header.prefix_len).ok());
            addresses.extend(prefix);
        }
        Ok(addresses)
    }

    pub(crate) async fn add_route(&self, route: &Route) -> Result<(), NetlinkError> {
        let index = self.index(route.interface()).await?;
        let Err(error) = self.handle.route().add(route::message(route, index)).execute().await else {
            return Ok(());
        };
        absent(error.into(), &[libc::EEXIST])?;
        if self.routes(route.interface(), index).await?.contains(route) {
            Ok(())
        } else {
            Err(NetlinkError::RouteTaken(route.destination()))
        }
    }

    pub(crate) async fn remove_route(&self, route: &Route) -> Result<(), NetlinkError> {
        let Some(link) = self.link(route.interface()).await? else { return Ok(()) };
        let answer = self.handle.route().del(route::message(route, link.index)).execute().await;
        answer.or_else(|error| absent(error.into(), &[libc::ESRCH, libc::ENODEV]))
    }

    /// The routes of the main table into one interface.
    pub(crate) async fn routes(
        &self,
        name: &InterfaceName,
        index: u32,
    ) -> Result<BTreeSet<Route>, NetlinkError> {
        let mut routes = BTreeSet::new();
        let all = [
            RouteMessageBuilder::<std::net::Ipv4Addr>::new().build(),
            RouteMessageBuilder::<std::net::Ipv6Addr>::new().build(),
        ];
        for of_family in all {
            let mut answers = Box::pin(self.handle.route().get(of_family).execute());
            while let Some(message) = answers.try_next().await? {
                routes.extend(route::parse(&message, name, index));
            }
        }
        Ok(routes)
    }

    async fn index(&self, name: &InterfaceName) -> Result<u32, NetlinkError> {
        let link = self.link(name).await?;
        link.map(|link| link.index).ok_or_else(|| NetlinkError::NoInterface(name.clone()))
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl NetlinkError {
    pub(crate) fn code(&self) -> Option<i32> {
        match self {
            Self::Refused { source } => source.raw_os_error(),
            Self::NoInterface(_) | Self::Foreign(_) | Self::RouteTaken(_) | Self::Broken(_) => None,
        }
    }
}

impl From<rtnetlink::Error> for NetlinkError {
    fn from(error: rtnetlink::Error) -> Self {
        if let rtnetlink::Error::NetlinkError(message) = error {
            Self::Refused { source: message.to_io() }
        } else {
            Self::Broken(error.to_string())
        }
    }
}

/// How many queues of the interface are open, by whichever process; none if it does not exist.
///
/// Blocking, for those who own no runtime; the kernel answers at once.
pub(crate) fn attached_queues(name: &InterfaceName) -> io::Result<Option<usize>> {
    let mut question = LinkMessage::default();
    question.attributes.push(LinkAttribute::IfName(name.as_str().to_owned()));
    let mut question = NetlinkMessage::from(RouteNetlinkMessage::GetLink(question));
    question.header.flags = NLM_F_REQUEST;
    question.finalize();
    let mut bytes = vec![0; question.buffer_len()];
    question.serialize(&mut bytes);

    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).map_err(io::Error::other)?;
    if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(message)) = &answer.payload {
        return Ok(match LinkSeen::from(message).kind {
            LinkKind::OwnTun { queues } => Some(queues),
            LinkKind::Foreign => None,
        });
    }
    if let NetlinkPayload::Error(error) = answer.payload {
        return absent(NetlinkError::Refused { source: error.to_io() }, &[libc::ENODEV])
            .map(|()| None)
            .map_err(io::Error::other);
    }
    Err(io::Error::other("the kernel gave no interface"))
}

/// An error that only says that things are already as wanted is none.
fn absent(error: NetlinkError, codes: &[i32]) -> Result<(), NetlinkError> {
    if error.code().is_some_and(|code| codes.contains(&code)) { Ok(()) } else { Err(error) }
}
