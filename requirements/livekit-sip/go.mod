module trunkline/livekit-sip // what livekit-sip is built from; go.sum holds the hashes

go 1.26

require github.com/livekit/sip v1.8.0
