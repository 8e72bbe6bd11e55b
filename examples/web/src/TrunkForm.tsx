// The form. Every problem of an answer is shown beside its field: UserError.field is the path of the input.
import { useState, type ReactNode } from 'react';
import { useForm, useWatch, type Path, type RegisterOptions } from 'react-hook-form';
import { useMutation, useQuery } from 'urql';
import { DialPreview } from './DialPreview';
import { CREATE, PROVIDERS, VALIDATE } from './documents';
import type { CreateSipTrunkInput } from './gql/graphql';

type Fields = Omit<CreateSipTrunkInput, 'allowedInboundIps' | 'sipPort'> & { allowedInboundIps: string; sipPort: string };
type Name = Extract<keyof Fields, string>;
type Told = { field?: string[] | null; message: string };

const START: Fields = {
  sipTrunkType: 'NUMBER', phoneNumber: '', nickname: '', sipUsername: '', sipPassword: '', sipAddress: '', sipPort: '',
  sipTransport: 'UDP', mediaEncryption: 'AUTO', sipCallingFormat: 'PLUS_E164', inboundAuthorizationType: 'AUTH',
  allowedInboundIps: '', countryCode: '', provider: '',
};

const CHOICES = {
  sipTrunkType: ['NUMBER', 'EXTENSION'],
  sipTransport: ['UDP', 'TCP', 'TLS'],
  mediaEncryption: ['AUTO', 'DISABLED', 'ALLOWED', 'REQUIRED'],
  sipCallingFormat: ['PLUS_E164', 'E164', 'NATIONAL'],
  inboundAuthorizationType: ['AUTH', 'IP'],
};

// What could not even be sent; everything else the API says.
const RULES: Partial<Record<Name, RegisterOptions<Fields, Name>>> = {
  sipPort: { pattern: { value: /^\d{0,5}$/, message: 'A port is a number.' } },
};

// What the form holds as text becomes what the API takes; blank is left out.
function inputOf({ allowedInboundIps, sipPort, ...rest }: Fields): CreateSipTrunkInput {
  const ips = allowedInboundIps.split(/[\s,]+/).filter(Boolean);
  return {
    ...rest,
    nickname: rest.nickname || null,
    countryCode: rest.countryCode || null,
    provider: rest.provider || null,
    sipPort: sipPort ? Number(sipPort) : null,
    allowedInboundIps: ips.length ? ips : null,
  };
}

export function TrunkForm() {
  const { register, handleSubmit, setError, clearErrors, reset, control, formState } = useForm<Fields>({ defaultValues: START });
  const [message, setMessage] = useState('');
  const [warnings, setWarnings] = useState<Told[]>([]);
  const [, create] = useMutation(CREATE);
  const [, validate] = useMutation(VALIDATE);
  const [{ data }] = useQuery({ query: PROVIDERS });
  const trunk = useWatch({ control });

  // ["input", "allowedInboundIps", "1"] belongs to the field allowedInboundIps; null to the whole form.
  function show(errors: Told[], warned: Told[], told: string) {
    clearErrors();
    for (const { field, message: text } of errors) setError((field?.[1] ?? 'root') as Path<Fields>, { message: text });
    setWarnings(warned);
    setMessage(told);
  }

  async function check(fields: Fields) {
    const { data: told, error } = await validate({ input: inputOf(fields) });
    const found = told?.validateSipTrunk;
    show(found?.userErrors ?? [], found?.warnings ?? [], found?.message ?? error?.message ?? '');
  }

  async function save(fields: Fields) {
    const { data: told, error } = await create({ input: inputOf(fields) });
    const made = told?.createSipTrunk;
    if (made?.sipTrunk) reset();
    show(made?.userErrors ?? [], made?.warnings ?? [], made?.message ?? error?.message ?? '');
  }

  const row = (name: Name, label: string, control: ReactNode) => (
    <label>
      {label}
      {control}
      {formState.errors[name] && <em role="alert">{formState.errors[name]?.message}</em>}
      {warnings.filter(({ field }) => field?.[1] === name).map((each) => (
        <em className="warning" key={each.message}>{each.message}</em>
      ))}
    </label>
  );
  const text = (name: Name, label: string, type = 'text') =>
    row(name, label, <input type={type} autoComplete="off" aria-invalid={!!formState.errors[name]} {...register(name, RULES[name])} />);
  const choice = (name: keyof typeof CHOICES, label: string) =>
    row(name, label, <select {...register(name)}>{CHOICES[name].map((each) => <option key={each}>{each}</option>)}</select>);

  return (
    <form onSubmit={handleSubmit(save)} noValidate aria-label="New trunk">
      <h2>New trunk</h2>
      {row('provider', 'Carrier or PBX', (
        <select {...register('provider')}>
          <option value="">another</option>
          {data?.providers.map(({ key, name }) => <option key={key} value={key}>{name}</option>)}
        </select>
      ))}
      {choice('sipTrunkType', 'Kind')}
      {text('phoneNumber', 'Number or extension')}
      {text('nickname', 'Name')}
      {text('sipUsername', 'SIP user name')}
      {text('sipPassword', 'SIP password', 'password')}
      {text('sipAddress', 'SIP server')}
      {text('sipPort', 'Port')}
      {choice('sipTransport', 'Transport')}
      {choice('mediaEncryption', 'Encryption')}
      {choice('sipCallingFormat', 'Calling format')}
      {choice('inboundAuthorizationType', 'Inbound authorization')}
      {text('allowedInboundIps', 'Allowed addresses')}
      {text('countryCode', 'Country')}
      <DialPreview
        trunk={{
          sipTrunkType: trunk.sipTrunkType ?? 'NUMBER',
          sipCallingFormat: trunk.sipCallingFormat ?? 'PLUS_E164',
          countryCode: trunk.countryCode ?? '',
          phoneNumber: trunk.phoneNumber ?? '',
          sipAddress: trunk.sipAddress ?? '',
          sipPort: Number(trunk.sipPort) || null,
          sipTransport: trunk.sipTransport ?? null,
        }}
      />
      {formState.errors.root && <p role="alert">{formState.errors.root.message}</p>}
      <p role="status">{message}</p>
      <button type="button" onClick={handleSubmit(check)} disabled={formState.isSubmitting}>Check</button>
      <button disabled={formState.isSubmitting}>Create</button>
    </form>
  );
}
