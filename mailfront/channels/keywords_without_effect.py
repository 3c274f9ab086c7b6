"""Keywords of the original that are accepted and say nothing in this server.

What they asked of the original is done anyway (`ehlo`, `inner`), is no choice here (`pool`,
`subdirs`, `identnone`: nobody is asked who a client is), or is said by options and the directory.
`WITHOUT_EFFECT` maps each to the least and the greatest number of its arguments.
"""

from __future__ import annotations

_ALONE = """
    acceptalladdresses acceptvalidaddresses addreturnpath addrsperjob aliaslocal aliasoptional
    allowetrn alwaysencrypt bangoverpercent bangsoverpercent bidirectional blocketrn
    checkehlo chunkingclient chunkingserver commentinc commentmap commentomit commentstrip
    commenttotal connectalias connectcanonical copysendpost copywarnpost datefour datetwo
    dayofweek defaults deferred deferralnoneremote defragment dequeue_removeroute disableetrn
    domainetrn domainvrfy ehlo eightbit eightnegotiate eightstrict errsendpost errwarnpost
    expnallow expndefault expndisable exproute externalidentity
    forwardcheckdelete forwardchecknone forwardchecktag header_733 header_822 header_uucp
    headerinc headerkeeporder headeromit headerread headertrim identnone identnonelimited
    identnonenumeric identnonesymbolic identtcp identtcplimited identtcpnumeric identtcpsymbolic
    ignoreencoding ignoremessageencoding ignoremultipartencoding immediate immnonurgent immnormal
    immonly immurgent improute includefinal inner innertrim interpretencoding
    interpretmessageencoding interpretmultipartencoding keepmessagehash localvrfy logging
    loopcheck mailfromdnsverify master master_debug minimal nameparameterlengthlimit
    network noaddreturnpath nobangoverpercent nobangsoverpercent nochunkingclient
    nochunkingserver nodayofweek nodeferred nodefragment nodestinationfilter noehlo
    noexproute noexternalidentity nofileinto nofilter noheaderread noheadertrim noimproute noinner
    noinnertrim nologging noloopcheck nomailfromdnsverify nomaster_debug nomsexchange
    nonurgentonly noreceivedfor noreceivedfrom noremotehost norestricted noreturnaddress
    noreturnpersonal noreverse normalonly norules nosendetrn nosendpost noserviceconversion
    noslave_debug nosourcefilter nosourceroute notaryfull notlsswitchchannel nounquoted novrfy
    nowarnpost nox_env_to percentonly percents periodic personalinc personalmap personalomit
    personalstrip postheadbody postheadonly receivedfor receivedfrom rejectsmtplonglines
    relaxheadertermination remotehost restricted reverse routelocal rules sendpost
    sensitivitycompanyconfidential sensitivitynormal sensitivitypersonal sensitivityprivate
    service serviceall noserviceall sevenbit silentetrn single single_sys slave slave_debug
    sourceroute streaming_none subaddressexact subaddressrelaxed subaddresswild suppressfinal
    suppressreceivedfrom threadparallel truncatesmtplonglines unrestricted urgentonly
    userswitchchannel utf8header utf8negotiate utf8strict uucp viaaliasoptional viaaliasrequired
    vrfyallow vrfydefault vrfyhide warnpost wrapsmtplonglines x_env_to 733 822
"""

_WITH_ARGUMENT = """
    addlineaddrs addrsperfile addrtypescan after aliasdetourhost aliaspostmaster authrewrite
    blocklimit caption charset7 charset8 charsetesc convert_octet_stream
    deliveryflags description destinationfilter destinationbrightmail dispositionchannel
    disconnectbadauthlimit disconnectbadcommandlimit disconnectbadburllimit
    disconnectcommandlimit disconnectrecipientlimit disconnectrejectlimit
    disconnecttransactionlimit expandchannel expandlimit fileinto filesperjob filter
    generatemessagehash headerlabelalign headerlimit headerlinelength headerset7 holdexquota
    holdlimit language lastaccess linelength linelimit maxblocks maxheaderaddrs maxheaderchars
    maxlines maxperiodicnonurgent maxperiodicnormal maxperiodicurgent maxprocchars
    missingrecipientpolicy nonurgentafter nonurgentblocklimit normalafter normalblocklimit
    notificationchannel parameterformat pool postmaster
    queue recipientcutoff recipientlimit returnaddress returnpersonal sourcebrightmail
    sourcecommentinc sourcefilter streaming subdirs thirdpartyrelay threaddepth transactionlimit
    urgentafter urgentblocklimit user
"""

WITHOUT_EFFECT: dict[str, tuple[int, int]] = {
    **dict.fromkeys(_ALONE.split(), (0, 0)),
    **dict.fromkeys(_WITH_ARGUMENT.split(), (1, 1)),
    "defaulthost": (1, 2),
    **dict.fromkeys(
        ("nonurgentbackoff", "urgentbackoff", "nonurgentnotices", "urgentnotices"), (1, 32)
    ),
}
