"""The end of tunnels at a server: takes packets out of IP in IP, GRE and GUE and gives them to the kernel through a TUN device.

decapsulate.py DEVICE: makes the device, says `ready`, runs until it is ended. Linux can do it itself with modules that a test
machine may lack.
"""

import fcntl
import os
import selectors
import socket
import struct
import subprocess
import sys

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
IPV4_INSIDE, IPV6_INSIDE, GRE = 4, 41, 47
GUE_PORT = 6080


def device(name):
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "mtu", "1500", "up"], check=True)
    subprocess.run(["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", f"net.ipv4.conf.{name}.rp_filter=0"], check=True)
    return tun


def from_gre(data):
    flags, kind = struct.unpack_from("!HH", data)
    return data[4:] if flags == 0 and kind in (0x0800, 0x86DD) else b""


def from_gue(data):
    """Variant 0, a data message without extensions."""
    return data[4:] if data[0] == 0 and data[1] in (IPV4_INSIDE, IPV6_INSIDE) and data[2:4] == b"\0\0" else b""


def whole(data):
    return data


def main():
    tun = device(sys.argv[1])
    chooser = selectors.DefaultSelector()
    for family in (socket.AF_INET, socket.AF_INET6):
        for protocol, take in ((IPV4_INSIDE, whole), (IPV6_INSIDE, whole), (GRE, from_gre)):
            one = socket.socket(family, socket.SOCK_RAW, protocol)
            header = 20 if family == socket.AF_INET else 0  # The kernel leaves the IPv4 header in front, and no IPv6 header.
            chooser.register(one, selectors.EVENT_READ, lambda data, header=header, take=take: take(data[header:]))
        one = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(("", GUE_PORT))
        chooser.register(one, selectors.EVENT_READ, from_gue)
    print("ready", flush=True)
    while True:
        for key, _ in chooser.select():
            inside = key.data(key.fileobj.recv(65536))
            if inside:
                os.write(tun, inside)


if __name__ == "__main__":
    main()
