// The tabs that are open at first: each can be run as it stands.
const trunk = {
  sipTrunkType: 'NUMBER',
  phoneNumber: '+40741926265',
  nickname: 'Front desk',
  sipUsername: 'frontdesk',
  sipPassword: 'correct-horse-battery',
  sipAddress: 'sip.telnyx.com',
  sipCallingFormat: 'PLUS_E164',
  inboundAuthorizationType: 'AUTH',
  outboundProxy: false, // these two have defaults, but the editor underlines what is left out of a non-null field
  provisioning: 'WAIT',
};

const createSipTrunk = `# Run it: a trunk with a leg each way.
# Run it again: errors are told as data.
mutation CreateSipTrunk(
  $input: CreateSipTrunkInput!
) {
  createSipTrunk(input: $input) {
    message
    sipTrunk {
      id
      status
      phoneNumber
      inboundTrunkId
      outboundTrunkId
    }
    userErrors { code message field retryable }
    warnings { code message field }
  }
}
`;

const validateSipTrunk = `# Nothing is stored, nothing is sent.
# Three things are wrong, all told at once.
mutation ValidateSipTrunk(
  $input: CreateSipTrunkInput!
) {
  validateSipTrunk(input: $input) {
    valid
    message
    normalized {
      phoneNumber
      sipAddress
      countryCode
    }
    userErrors { code message field retryable }
    warnings { code message field }
  }
}
`;

const sipTrunks = `query SipTrunks {
  sipTrunks(first: 20) {
    totalCount
    nodes {
      id
      nickname
      phoneNumber
      status
      createdAt
    }
    pageInfo { hasNextPage endCursor }
  }
}
`;

const sipTrunkChanged = `# Run it, then create a trunk in the first tab.
subscription SipTrunkChanged {
  sipTrunkChanged {
    kind
    sipTrunk { id nickname phoneNumber status }
  }
}
`;

const variables = (input) => JSON.stringify({ input }, null, 2);

export const examples = [
  { query: createSipTrunk, variables: variables(trunk) },
  {
    query: validateSipTrunk,
    variables: variables({
      ...trunk,
      phoneNumber: '0741926265',
      sipAddress: 'sip.telnyx.com:5060',
      inboundAuthorizationType: 'IP',
    }),
  },
  { query: sipTrunks },
  { query: sipTrunkChanged },
];
